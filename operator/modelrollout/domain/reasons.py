"""Reasons: one value that feeds the condition, the event, the log line, the report and the CLI."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Machine-readable reasons, in the CamelCase of Kubernetes conditions."""

    # The resource and what it refers to
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    UNSUPPORTED = "Unsupported"
    CLAIMED = "Claimed"
    BACKEND_MISSING = "BackendMissing"
    SCALED_TO_ZERO = "ScaledToZero"
    NEWER_SCHEMA = "NewerSchema"
    # Rest and progress
    INITIAL_DEPLOYMENT = "InitialDeployment"
    ADOPTED = "Adopted"
    STARTED = "Started"
    WAITING_FOR_CANDIDATE = "WaitingForCandidate"
    STEP_RUNNING = "StepRunning"
    STEP_ADVANCED = "StepAdvanced"
    STEP_TIME = "StepTime"
    RISK_BUDGET = "RiskBudget"
    CAPACITY = "Capacity"
    NO_ENDPOINTS = "NoEndpoints"
    DRAINING = "Draining"
    BAKING = "Baking"
    PROMOTED = "Promoted"
    SUPERSEDED = "Superseded"
    RETURNED = "Returned"
    NEW_REVISION = "NewRevision"
    # People
    PAUSED_BY_USER = "PausedByUser"
    RESUMED = "Resumed"
    PAUSED_BY_PLAN = "PausedByPlan"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    APPROVAL_REFUSED = "ApprovalRefused"
    ABORTED = "Aborted"
    PROMOTED_BY_PERSON = "PromotedByPerson"
    PROMOTION_REFUSED = "PromotionRefused"
    RETRIED = "Retried"
    RETRY_REFUSED = "RetryRefused"
    INTENT_IGNORED = "IntentIgnored"
    # Decisions
    UNDECIDED = "Undecided"
    ROLLED_BACK = "RolledBack"
    HARM = "Harm"
    LIMIT_BROKEN = "LimitBroken"
    CRASHING = "Crashing"
    PROGRESS_DEADLINE = "ProgressDeadline"
    REJECTED = "Rejected"
    INCONCLUSIVE = "Inconclusive"
    EVIDENCE_COMPLETE = "EvidenceComplete"
    STABLE_GONE = "StableGone"
    STABLE_UNHEALTHY = "StableUnhealthy"
    STABLE_CHANGED = "StableChanged"
    STABLE_UNCHANGED = "StableUnchanged"
    CANNOT_ANSWER_IN_TIME = "CannotAnswerInTime"
    # A/B tests
    AB_TESTING = "ABTesting"
    ARM_STOPPED = "ArmStopped"
    AB_TEST_REPORTED = "ABTestReported"
    AB_TEST_PROMOTED = "ABTestPromoted"
    SMOKE_TEST_RUNNING = "SmokeTestRunning"
    SMOKE_TEST_UNUSABLE = "SmokeTestUnusable"
    SMOKE_TEST_FAILED = "SmokeTestFailed"
    SWITCHED = "Switched"
    # Shadows
    SHADOWING = "Shadowing"
    SHADOW_DISAGREES = "ShadowDisagrees"
    SHADOW_REPORTED = "ShadowReported"
    OBSERVER_TROUBLE = "ObserverTrouble"
    # Replicas
    REPLICAS_OWNED = "ReplicasOwned"
    PARKED = "Parked"
    UNPARKED = "Unparked"
    STABLE_MAY_SHRINK = "StableMayShrink"
    # Traffic
    PROGRAMMED = "Programmed"
    NOT_PROGRAMMED = "NotProgrammed"
    ROUTE_MISSING = "RouteMissing"
    NO_MATCHING_RULE = "NoMatchingRule"
    SHADOWED_BY_ROUTE = "ShadowedByRoute"
    SESSION_PERSISTENCE = "SessionPersistence"
    WEIGHTS_PUT_BACK = "WeightsPutBack"
    CONFLICTING_WRITER = "ConflictingWriter"
    SPLIT_CONTRADICTS = "SplitContradicts"
    # Metrics
    NOT_LOOKING = "NotLooking"
    METRICS_AVAILABLE = "MetricsAvailable"
    NO_METRICS = "NoMetrics"
    NO_DATA = "NoData"
    NO_SERIES = "NoSeries"
    NOT_A_BUCKET = "NotABucket"
    BAD_SELECTOR = "BadSelector"
    SOURCE_DOWN = "SourceDown"
    UNKNOWN_SOURCE = "UnknownSource"
    RAW_QUERY_REFUSED = "RawQueryRefused"
    # The end
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is: a code for machines, a sentence for people.

    Attributes:
        code: one of the reasons above.
        sentence: what was expected, what was seen and, where something is wrong, what to change.
    """

    code: Code
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"
