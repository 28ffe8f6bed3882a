"""The front end for torch: a `TorchFunctionMode`, and a watch over names."""
