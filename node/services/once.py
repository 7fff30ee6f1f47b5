"""Signed requests are good for once: the nonce of each is used up before it has done anything."""

from dataclasses import dataclass

from node.storage.transaction import Transaction
from protocol.errors import ReplayedError


@dataclass(frozen=True)
class Once:
    """What makes a signed request unlike any other.

    Attributes:
        keyid: of the key that signed it.
        nonce: of the signature.
        at: Unix time in seconds at which it was received.
    """

    keyid: str
    nonce: str
    at: int

    def use(self, transaction: Transaction) -> None:
        """Returns if the request was not here before; it was now, once the transaction commits.

        Raises:
            ReplayedError: it was.
        """
        if not transaction.access.use_nonce(self.keyid, self.nonce, now=self.at):
            raise ReplayedError("This request was here before: every request needs a new nonce.")
