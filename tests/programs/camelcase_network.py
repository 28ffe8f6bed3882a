import torch


class NeuralNetwork:
    def __init__(self, nIn, nHidden, nOut):
        self.weightsInput = torch.randn(nIn, nHidden) * 0.5
        self.weightsHidden = torch.randn(nHidden, nOut) * 0.5
        self.learningRate = 0.5

    def feedForward(self, inputData):
        self.inputData = inputData
        self.hiddenSum = inputData @ self.weightsInput
        self.hiddenOut = torch.tanh(self.hiddenSum)
        self.outputSum = self.hiddenOut @ self.weightsHidden
        return self.outputSum

    def backPropagate(self, targetData):
        batchSize = targetData.shape[0]
        gradOutput = (self.outputSum - targetData) / batchSize
        gradWeightsHidden = self.hiddenOut.T @ gradOutput
        self.weightsHidden = self.weightsHidden - self.learningRate * gradWeightsHidden
        gradHiddenOut = gradOutput @ self.weightsHidden.T
        gradHiddenSum = gradHiddenOut * (1 - self.hiddenOut**2)
        gradWeightsInput = self.inputData.T @ gradHiddenSum
        self.weightsInput = self.weightsInput - self.learningRate * gradWeightsInput


torch.manual_seed(9)
inputData = torch.rand(20, 3)
targetData = torch.sin(inputData.sum(1, keepdim=True))
network = NeuralNetwork(3, 8, 1)
for epoch in range(200):
    prediction = network.feedForward(inputData)
    lossValue = 0.5 * ((prediction - targetData) ** 2).sum(1).mean()
    network.backPropagate(targetData)
    if epoch % 50 == 0:
        print(epoch, lossValue.item())
