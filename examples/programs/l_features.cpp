// What a network computes on the way: behind a stage, and within one. Usage: l_features MODEL PHOTO
#include <cstdio>

#include "graft/graft.hpp"

int main(int, char** argv) {
  const graft::Predictor predictor(argv[1]);
  std::puts(predictor.features(argv[2], "layer2").shape().to_string().c_str());
  const auto print = [](const graft::Tensor& y) { std::puts(y.shape().to_string().c_str()); };
  const auto hook = predictor.model().network->on_forward("layer2.0.conv1", print);
  static_cast<void>(predictor.predict(argv[2]));
}
