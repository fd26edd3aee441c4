"""A bundle to a repository on a model hub, in one commit, by `huggingface_hub`.

HF_TOKEN, or what `hf auth login` left, tells who pushes; HF_ENDPOINT another hub than huggingface.co.
"""

import os
from pathlib import Path

from export.card import CARD
from serving.bundle import read_manifest, verify_files
from serving.manifest import MANIFEST


class PushError(RuntimeError):
    """The hub did not take the bundle; the message says why."""


def bundle_files(bundle: Path) -> dict[str, bytes]:
    """What a push would bring to the hub: the manifest and the files that it lists, after they were checked.

    Args:
        bundle: The bundle's folder.

    Returns:
        Contents by path.

    Raises:
        BundleError: If the bundle is not sound.
        PushError: If it has no model card.
    """
    manifest = read_manifest(bundle)
    contents = verify_files(bundle, manifest)
    if CARD not in contents:
        raise PushError(f"{bundle} has no model card ({CARD}): write it with `python -m export card {bundle}`")
    return {MANIFEST: (bundle / MANIFEST).read_bytes(), **contents}


def push_bundle(bundle: Path, repository: str, *, private: bool = False) -> str:
    """Make a repository of models hold a bundle, and nothing else but hidden files.

    Args:
        bundle: The bundle's folder.
        repository: OWNER/NAME; made if it is not there.
        private: Make it a private one; a repository that is there stays what it is.

    Returns:
        The commit's address.

    Raises:
        BundleError: If the bundle is not sound; nothing is sent.
        PushError: If it has no model card, `huggingface_hub` is not installed, or the hub refuses or does not answer.
    """
    files = bundle_files(bundle)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not os.environ.get("HF_ENDPOINT", "").strip():
        os.environ.pop("HF_ENDPOINT", None)  # the library would take a blank one for an address
    try:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    except ImportError:
        raise PushError("pushing needs huggingface_hub, which is not installed: pip install huggingface_hub") from None
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="relatent")
    try:
        repository = api.create_repo(repository, private=private or None, exist_ok=True).repo_id
        old = [name for name in api.list_repo_files(repository) if name not in files and not name.startswith(".")]
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, content) for name, content in files.items()),
                *(CommitOperationDelete(name) for name in old),
            ],
            commit_message=f"Bring the bundle {bundle.resolve().name}",
        )
    except Exception as error:  # the HTTP library's errors, whichever it is, have no base in common with the hub's
        raise PushError(
            f"{api.endpoint}: {repository}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    return commit.commit_url
