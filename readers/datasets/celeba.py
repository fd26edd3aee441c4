"""CelebA's aligned faces in torchvision's folder layout, or at half size; 64x64 pixels, as in section 6.1."""

from pathlib import Path

import torch
from PIL import Image

from readers.errors import DataError
from readers.folders import given_folder
from readers.image_data import ImageData
from readers.pictures.files import read_images
from readers.pictures.pixels import Size
from readers.pictures.sides import by
from relatent.cache import user_cache

SIDE = 64
FEWEST = 100
# The crop of 140 pixels out of 178 x 218 that is usual for CelebA; its half for files at half size.
CROPS = {(178, 218): 140, (89, 109): 70}
PARTITION = "list_eval_partition.txt"


def load_celeba(folder: Path | None) -> ImageData:
    """Faces from FOLDER/celeba or FOLDER/celeba10k; the centre, resized to 64x64.

    Args:
        folder: Where; default $RELATENT_DATA_DIR, else the user's cache. Nothing is downloaded.

    Returns:
        Training and test images by list_eval_partition.txt if it is there (its validation images are left out), else
        the last tenth by name is the test set. No labels.

    Raises:
        DataError: If there are no images, too few, or of other sizes.
    """
    root = given_folder(folder) or user_cache()
    base = next((path for name in ("celeba", "celeba10k", ".") if _images(path := root / name).is_dir()), None)
    paths = sorted(path for path in _images(base).glob("*.jpg") if not path.name.startswith(".")) if base else []
    if len(paths) < FEWEST:
        raise DataError(
            f"CelebA: expected at least {FEWEST} .jpg files in {_images(root / 'celeba')}, got {len(paths)}. "
            "Unpack img_align_celeba.zip (and list_eval_partition.txt) there, or pass --data-dir FOLDER "
            "(or set RELATENT_DATA_DIR) where FOLDER/celeba holds them."
        )
    is_train, is_test, split = _split(paths[0].parent.parent / PARTITION, paths)
    arrays = read_images("celeba-64", paths, (SIDE, SIDE), check=_check_size, prepare=_centre)
    images = torch.from_numpy(arrays["images"])
    return ImageData("celeba", images[is_train], None, images[is_test], None, levels=255, split=split)


def _images(base: Path) -> Path:
    return base / "img_align_celeba"


def _split(partition: Path, paths: list[Path]) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Masks of training and test images, shape (n,), and words for them."""
    if not partition.exists():
        is_test = torch.arange(len(paths)) >= len(paths) - len(paths) // 10
        return ~is_test, is_test, f"no {PARTITION}: the last tenth of the files by name is the test set"
    try:
        parts = {name: int(part) for name, part in (line.split() for line in partition.read_text().splitlines())}
        part = torch.tensor([parts[path.name] for path in paths])
    except (ValueError, KeyError) as error:
        raise DataError(f"{partition}: expected a line 'NAME.jpg 0|1|2' for each image, got {error!r}") from error
    is_train, is_test = part == 0, part == 2
    if not is_train.any() or not is_test.any():
        raise DataError(f"{partition}: expected training (0) and test (2) images among the files, got only one kind")
    return is_train, is_test, f"official ({PARTITION})"


def _check_size(size: Size) -> None:
    if size not in CROPS:
        raise DataError(
            f"expected aligned images of 178x218 or 89x109 pixels, got {by(size)}; use --data folder for other images"
        )


def _centre(image: Image.Image) -> Image.Image:
    from torchvision.transforms.functional import center_crop

    side = CROPS[image.size]
    return center_crop(image, [side, side]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
