# The operator's image: `docker build -t modelrollout .` from the checkout's root.
# What can be checked of it without a container engine is in tests/unit/test_dockerfile.py.
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
# Wheels alone, each checked against its hash: nothing is compiled, nothing unknown is run.
COPY operator/requirements.lock /build/requirements.lock
RUN ["python", "-m", "venv", "--without-pip", "/opt/modelrollout"]
RUN ["python", "-m", "pip", "--python", "/opt/modelrollout/bin/python", "install", \
     "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--require-hashes", \
     "--only-binary", ":all:", "-r", "/build/requirements.lock"]
COPY operator/modelrollout /opt/modelrollout/app/modelrollout
# The root file system is read-only at run time, so bytecode is written here or never.
RUN ["python", "-m", "compileall", "-q", "-j", "0", "/opt/modelrollout/app"]

FROM python:${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="modelrollout" \
      org.opencontainers.image.description="Progressive delivery of machine-learning models on Kubernetes" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/modelrollout /opt/modelrollout
# MALLOC_ARENA_MAX: without it the allocator keeps an arena per thread, and memory grows with them.
ENV PATH=/opt/modelrollout/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/modelrollout/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2
WORKDIR /tmp
# A number, so that the kubelet can see that it is not root.
USER 65532:65532
ENTRYPOINT ["python", "-m", "modelrollout.controller"]
CMD ["--config", "/etc/modelrollout/config.yaml"]
