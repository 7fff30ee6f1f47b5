"""The wiring of fsck: which checks there are, and in which order."""

from node.services.catalogue import Catalogue
from node.services.fsck import Check, Fsck, IndexCheck, UploadsCheck
from node.services.fsck_log import LogCheck
from node.services.fsck_mirrors import MirrorsCheck
from node.services.fsck_statements import StatementsCheck
from node.services.upload_index import UploadIndex
from node.storage.engine import Store


def fsck_of(store: Store, catalogue: Catalogue, uploads: UploadIndex, *, origin: str) -> Fsck:
    """Returns the checks in the order in which one rests on the other."""
    of_log, of_index = LogCheck(store, origin=origin), IndexCheck(catalogue)
    of_uploads = UploadsCheck(store, uploads)
    return Fsck(
        {
            "log": Check(of_log.look, of_log.mend),
            "statements": Check(StatementsCheck(store, origin=origin).look),
            "mirrors": Check(MirrorsCheck(store, origin=origin).look),
            "index": Check(of_index.look, of_index.mend),
            "uploads": Check(of_uploads.look, of_uploads.mend),
        }
    )
