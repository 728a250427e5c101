# The operator's image. There was no container engine where this file was written: what can be checked
# without one is checked by tests/unit/test_dockerfile.py, and the image itself has not been built yet.

FROM python:3.13-slim-trixie AS dependencies
WORKDIR /build
COPY operator/requirements.lock ./
# Hashes are required, so that what is installed is what was locked; wheels only, so nothing is built.
RUN python -m venv /opt/modelrollout \
    && /opt/modelrollout/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock \
    && /opt/modelrollout/bin/pip uninstall --yes pip

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="modelrollout" \
      org.opencontainers.image.description="Progressive delivery of machine-learning models on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dependencies /opt/modelrollout /opt/modelrollout
COPY operator/modelrollout /opt/modelrollout/app/modelrollout
ENV PATH=/opt/modelrollout/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/modelrollout/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "modelrollout.controller"]
CMD ["--config", "/etc/modelrollout/config.yaml"]
