"""Intents: annotations and back."""

from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api import intents

words = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=8),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20),
    max_size=3,
)


@given(st.sampled_from(intents.Kind), st.text("0123456789abcdef", min_size=1, max_size=12), words)
def test_an_intent_survives_its_annotation(
    kind: intents.Kind, id_: str, told: dict[str, str]
) -> None:
    given_intent = intents.Intent(kind, id_, by="anna", words=told)
    key, value = intents.annotation(given_intent)
    assert intents.from_annotations({key: value, intents.BY: "anna"}) == (given_intent,)


def test_several_intents_come_in_the_order_of_their_weight() -> None:
    annotations = {f"modelrollout.dev/{kind}": "1" for kind in ("retry", "promote", "abort")}
    kinds = [intent.kind for intent in intents.from_annotations(annotations)]
    assert kinds == [intents.Kind.ABORT, intents.Kind.PROMOTE, intents.Kind.RETRY]


def test_other_and_empty_annotations_are_no_intents() -> None:
    annotations = {"modelrollout.dev/pause": " ", "modelrollout.dev/by": "anna", "x": "y"}
    assert intents.from_annotations(annotations) == ()


def test_an_unreadable_annotation_says_what_is_wrong() -> None:
    (intent,) = intents.from_annotations({"modelrollout.dev/promote": "7 despite='half"})
    assert "No closing quotation" in intent.malformed
