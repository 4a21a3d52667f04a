"""What a publisher gets back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from otppi.model.errors import OutcomeUnknown

# PHP's publisher invents this code for what it has published; here it always means: published, not answered.
PUBLISHED = "1111"
# "000" stands in older documents.
_SUCCESS = frozenset({"0000", "000"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one call: the answer of the gateway, or that the message is published and no answer was asked for.

    The codes are those of the REST documentation. `data` and `error` may hold what the caller sent.
    """

    command: str
    code: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error: str = ""
    is_answered: bool = True

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, command: str) -> Self:
        """Read an answer as it stands on the wire; what an older gateway leaves out is empty."""
        data = document.get("data")
        return cls(
            command=str(document.get("command") or command),
            code=str(document.get("response_code") or ""),
            data=data if isinstance(data, Mapping) else {},
            error=str(document.get("error") or ""),
        )

    @property
    def is_success(self) -> bool:
        """Whether the gateway did it; for a message: a modem or a mail server took it."""
        return self.code in _SUCCESS

    @property
    def is_unknown(self) -> bool:
        """Whether nobody says what became of it; what is neither this nor a success was surely not done."""
        return not self.is_answered or self.code in {"", PUBLISHED, OutcomeUnknown.code}

    @property
    def retry_after_s(self) -> int | None:
        """After how many seconds a refusal may be over, where the gateway says so."""
        value = self.data.get("retry_after")
        return value if isinstance(value, int) else None

    def as_document(self) -> dict[str, Any]:
        """Return it as it stands on the wire, and whether it was answered."""
        document = {
            "command": self.command,
            "response_code": self.code,
            "data": dict(self.data),
            "is_answered": self.is_answered,
        }
        return {**document, "error": self.error} if self.error else document


@dataclass(frozen=True, kw_only=True)
class ModemList(Answer):
    """The modems of the gateway."""

    @property
    def modems(self) -> Mapping[str, Mapping[str, Any]]:
        """Each modem by its id, with the fields of `get-modem-list`."""
        modems = self.data.get("modem_list")
        return modems if isinstance(modems, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class UssdReply(Answer):
    """What the network said to a USSD code."""

    @property
    def text(self) -> str:
        """The text for people."""
        return str(self.data.get("ussd_response") or self.data.get("ussd_content") or "")

    @property
    def expects_reply(self) -> bool:
        """Whether the network waits for a reply: another `request_ussd` with it."""
        return self.data.get("replyable") is True
