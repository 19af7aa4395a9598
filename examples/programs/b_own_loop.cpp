// Fine-tunes the head of a pretrained network in a loop of one's own. Usage: b_own_loop WEIGHTS
// DATA OUT
#include <cstdio>

#include "graft/graft.hpp"
using namespace graft;

int main(int, char** argv) {
  const io::OpenedData data = io::open_data(argv[2]);
  auto [network, card] = models::import_weights(argv[1]).model;
  models::replace_head(*network, card.architecture, std::ssize(data.classes), 0);
  card.labels = data.classes;
  for (size_t s = 0; s + 1 < network->stages().size(); ++s) network->freeze_stage(s);
  const auto adam = train::make_optimizer(network->parameters(), {.name = "adam"});
  train::BatchLoader batches(data.train, card.preprocess, {.batch = 16, .shuffle = true});
  const train::Recipe recipe;
  const auto task = train::make_task(recipe, data);  // classification
  for (int epoch = 0; epoch < 3; ++epoch) {
    network->train();
    batches.start(epoch);
    double sum = 0;
    for (train::Batch b; batches.next(b);) {
      const Tensor loss = functional::cross_entropy((*network)(b.x), b.targets.one());
      adam->backward_and_step(loss, 1e-3);
      sum += loss.item() / static_cast<double>(batches.batches());
    }
    const auto scores = train::judge(*network, data.val, card.preprocess, task);
    std::printf("epoch %d: loss %.4f, accuracy %.4f\n", epoch + 1, sum, scores->score());
  }
  models::save_model(argv[3], *network, card);
}
