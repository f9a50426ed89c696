"""Names of tensors against those of the installed transformers."""

from transformers import ViTConfig, ViTModel

from beast_lp.vit.architecture import Architecture
from beast_lp.vit.tensor_names import disk_name, encoder_tensor_names


def test_names_on_disk_cover_the_model_exactly() -> None:
    shape = Architecture(64, 2, 1, 128, 16, (64, 64))
    vit = ViTModel(ViTConfig(**shape.transformers_config()), add_pooling_layer=False)
    names = {disk_name(name) for name in vit.state_dict()}
    assert names == set(encoder_tensor_names(2))
