import pytest
import torch
import torch.nn.functional as F
from captum.attr import Saliency

from leaf.attribute.embedding_gradient import sensitivity
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.prompt_format import EncodedExample

LONG = EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6)
SHORT = EncodedExample(ids=(11, 4, 58, 2), prompt_length=2)
MIDDLE = EncodedExample(ids=(8, 8, 19, 25, 33, 2), prompt_length=5)


def reference_loss(model, embeddings_TD, conversation):
    """Mean cross-entropy of the response from the model's own full logits, written naively."""
    logits_TV = model(inputs_embeds=embeddings_TD[None]).logits[0]
    losses = []
    for at in range(conversation.prompt_length, len(conversation.ids)):
        log_probabilities = torch.log_softmax(logits_TV[at - 1], dim=-1)
        losses.append(-log_probabilities[conversation.ids[at]])
    return sum(losses) / len(losses)


def embeddings_of(model, conversation):
    return model.get_input_embeddings()(torch.tensor(conversation.ids)).detach()


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_sensitivity_equals_central_finite_differences_in_float64(tiny_model, family):
    model = tiny_model(family, dtype=torch.float64)
    norms_BT, _ = sensitivity(Packer(model), output_head(model), [LONG])
    base_TD = embeddings_of(model, LONG)
    step = 1e-5
    for token in range(LONG.prompt_length):
        slopes = []
        for axis in range(base_TD.shape[1]):
            ahead, behind = base_TD.clone(), base_TD.clone()
            ahead[token, axis] += step
            behind[token, axis] -= step
            rise = reference_loss(model, ahead, LONG) - reference_loss(model, behind, LONG)
            slopes.append(float(rise) / (2 * step))
        expected = torch.tensor(slopes, dtype=torch.float64).norm()
        assert float(norms_BT[0, token]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_sensitivity_equals_captums_saliency(tiny_model, family):
    model = tiny_model(family, dtype=torch.float64)
    saliency = Saliency(lambda embeddings_1TD: reference_loss(model, embeddings_1TD[0], LONG)[None])
    gradient_1TD = saliency.attribute(embeddings_of(model, LONG)[None].requires_grad_(), abs=False)
    norms_BT, _ = sensitivity(Packer(model), output_head(model), [LONG])
    torch.testing.assert_close(norms_BT[0], gradient_1TD[0].norm(dim=-1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_problem_scores_the_same_alone_and_in_a_mixed_batch(tiny_model, family):
    model = tiny_model(family, dtype=torch.float32)
    head = output_head(model)
    batch = [SHORT, LONG, MIDDLE]
    norms_BT, losses_B = sensitivity(Packer(model), head, batch)
    for row, item in enumerate(batch):
        alone_1T, loss_1 = sensitivity(Packer(model), head, [item])
        scored = slice(0, item.prompt_length)
        cosine = F.cosine_similarity(norms_BT[row, scored], alone_1T[0, scored], dim=0)
        assert float(cosine) > 0.99999
        torch.testing.assert_close(norms_BT[row, scored], alone_1T[0, scored], rtol=1e-4, atol=0)
        torch.testing.assert_close(losses_B[row], loss_1[0], rtol=1e-5, atol=0)


def test_the_loss_is_the_mean_over_the_response_and_its_end_of_turn_token(tiny_model):
    model = tiny_model("llama", dtype=torch.float64)
    _, losses_B = sensitivity(Packer(model), output_head(model), [LONG, SHORT])
    for item, loss in zip([LONG, SHORT], losses_B, strict=True):
        expected = reference_loss(model, embeddings_of(model, item), item)
        torch.testing.assert_close(loss, expected, rtol=1e-10, atol=0)


def test_no_parameter_gets_a_gradient(tiny_model):
    model = tiny_model("qwen2", dtype=torch.float32)
    sensitivity(Packer(model), output_head(model), [LONG, SHORT])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_padding_has_no_sensitivity(tiny_model):
    model = tiny_model("llama", dtype=torch.float64)
    norms_BT, _ = sensitivity(Packer(model), output_head(model), [SHORT, LONG])
    assert norms_BT[0, len(SHORT.ids) :].abs().max() == 0
