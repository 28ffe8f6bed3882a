"""`gradcheck.pair`: the person says which gradient belongs to which tensor."""

from gradcheck.fronts import active


def pair(forward_tensor: object, manual_gradient: object) -> None:
    """Says that `manual_gradient` is the gradient of `forward_tensor`, where names do not.

    Call it in the step, or after it while the watch is kept. Where nothing is recorded it does nothing, so it may
    stay in the program; `gradcheck report` uses it too. It takes precedence over names.

    Examples:
        >>> import torch, gradcheck
        >>> x, W = torch.randn(8, 4), torch.randn(4, 3)
        >>> with gradcheck.watch() as watched:
        ...     loss = ((x @ W) ** 2).sum()
        ...     u = x.T @ (x @ W)  # without the 2
        ...     gradcheck.pair(W, u)
        >>> [finding.message for finding in watched.report().findings]
        ['`u` is not the gradient of `W`']
    """
    recorder = active.current()
    if recorder is not None:
        recorder.pair(forward_tensor, manual_gradient)
        return
    for finished in active.finished():
        if finished.knows(forward_tensor) and finished.knows(manual_gradient):
            finished.pair(forward_tensor, manual_gradient)
            return
