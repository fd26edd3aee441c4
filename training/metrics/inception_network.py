"""The Inception network of the original TensorFlow code: torchvision's, but for four pooling branches."""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d
from torchvision.models import inception


def inception_network(state: dict[str, Tensor]) -> nn.Module:
    """Images (n, 3, 299, 299) in [-1, 1] to features (n, 2048), from weights named as in pytorch-fid."""
    network = inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b, network.Mixed_5c = _A(192, pool_features=32), _A(256, pool_features=64)
    network.Mixed_5d = _A(288, pool_features=64)
    network.Mixed_6b, network.Mixed_6c = _C(768, channels_7x7=128), _C(768, channels_7x7=160)
    network.Mixed_6d, network.Mixed_6e = _C(768, channels_7x7=160), _C(768, channels_7x7=192)
    network.Mixed_7b, network.Mixed_7c = _E(1280), _LastE(2048)
    network.load_state_dict(state)
    network.fc = nn.Identity()
    return network.eval()


class _PoolBranch:
    """Pools the last branch of a block otherwise than torchvision does."""

    branch_pool: nn.Module

    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(self.pool(x))]  # type: ignore[misc]

    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Average over the neighbours that lie inside the image."""
        return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _A(_PoolBranch, inception.InceptionA): ...


class _C(_PoolBranch, inception.InceptionC): ...


class _E(_PoolBranch, inception.InceptionE): ...


class _LastE(_PoolBranch, inception.InceptionE):
    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Largest of the neighbours."""
        return max_pool2d(x, 3, stride=1, padding=1)
