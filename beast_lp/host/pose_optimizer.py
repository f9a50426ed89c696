"""The optimiser of pose training: the host's default suits a ResNet, and not a ViT."""

from omegaconf import DictConfig, OmegaConf

# learning rate of Adam in the host's default config
RESNET_RATE = 1e-3


def has_resnet_optimizer(cfg: DictConfig) -> bool:
    """Return whether the optimiser is still the host's default, which suits a ResNet."""
    return pose_optimizer(cfg) == 'Adam' and pose_learning_rate(cfg) >= RESNET_RATE


def suitable_learning_rate(hidden_size: int) -> float:
    """Return the learning rate of AdamW that suits pose training of a ViT of this width."""
    return 5e-4 if hidden_size <= 192 else 5e-5


def pose_optimizer(cfg: DictConfig) -> str:
    """Return the name of the optimiser that a pose config asks for."""
    return str(OmegaConf.select(cfg, 'training.optimizer', default='Adam'))


def pose_learning_rate(cfg: DictConfig) -> float:
    """Return the learning rate that a pose config asks for."""
    key = 'training.optimizer_params.learning_rate'
    return float(OmegaConf.select(cfg, key, default=RESNET_RATE))
