// A focal loss, and squeeze and excitation behind a stage. Usage: c_focal_se WEIGHTS DATA OUT
#include <cstdio>

#include "graft/graft.hpp"
namespace fn = graft::functional;
using namespace graft;

Tensor focal_loss(const Tensor& logits, const Tensor& labels) {  // Lin et al. 2017, gamma 2
  const Tensor one_column = fn::reshape(labels, {labels.size(0), 1});
  const Tensor log_p = fn::gather_elements(fn::log_softmax(logits), one_column, 1);
  const Tensor q = 1 - fn::exp(log_p);
  return -fn::mean(q * q * log_p);
}

int main(int, char** argv) {
  const io::OpenedData data = io::open_data(argv[2]);
  auto [base, card] = models::import_weights(argv[1]).model;
  models::replace_head(*base, card.architecture, std::ssize(data.classes), 0);
  const SqueezeExcitationOptions sizes{.channels = 32, .hidden = 8};
  InsertedStage network(base, "layer2", "se", std::make_shared<SqueezeExcitation>(sizes));
  for (size_t s = 0; s < network.stage_index("se"); ++s) network.freeze_stage(s);
  const auto adam = train::make_optimizer(network.parameters(), {.name = "adam"});
  train::BatchLoader batches(data.train, card.preprocess,
                             {.batch = 16, .shuffle = true, .drop_single = true});
  for (int epoch = 0; epoch < 2; ++epoch) {
    network.train();
    batches.start(epoch);
    double sum = 0;
    for (train::Batch b; batches.next(b);) {
      const Tensor loss = focal_loss(network(b.x), b.targets.one());
      adam->backward_and_step(loss, 1e-3);
      sum += loss.item() / static_cast<double>(batches.batches());
    }
    std::printf("epoch %d: focal loss %.4f\n", epoch + 1, sum);
  }
  io::write_safetensors(argv[3], network.state_dict());  // a card cannot describe the block
}
