"""Whether the node can do its work, and if not, why: for `/readyz`, `status` and `doctor`."""

from collections.abc import Callable

from node.policy.file import PolicyFile
from node.storage.engine import Store
from protocol.descriptors import NodeDescriptor
from protocol.encoding import parse_time
from protocol.errors import SchutznetzError


class Health:
    """Collects reasons."""

    def __init__(
        self,
        store: Store,
        policy: PolicyFile,
        descriptor: NodeDescriptor,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._policy = policy
        self._descriptor = descriptor
        self._clock = clock

    def reasons(self) -> list[str]:
        """Returns a sentence for everything without which look-ups or statements would fail."""
        found = []
        try:
            self._store.check()
        except SchutznetzError as error:
            found.append(str(error))
        self._policy.current()
        if self._policy.problem:
            found.append(f"The policy file is not in force as it stands: {self._policy.problem}")
        now = int(self._clock())
        if parse_time(self._descriptor.expires) <= now:
            found.append("The node's descriptor has expired: peers refuse it.")
        ended = [key.use for key in self._descriptor.keys if parse_time(key.not_after) <= now]
        if ended:
            found.append(f"Keys have expired: {', '.join(sorted(ended))}.")
        return found
