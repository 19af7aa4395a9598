// Two inputs, a photo and a number about it (here its mean), in one head. Usage: h_two_inputs
// WEIGHTS DATA
#include <cstdio>

#include "graft/graft.hpp"
namespace fn = graft::functional;
using namespace graft;

int main(int, char** argv) {
  const io::OpenedData data = io::open_data(argv[2]);
  const auto [photo, card] = models::import_weights(argv[1]).model;
  const size_t features = photo->stages().size() - 1;  // all stages but the head
  photo->freeze();
  const auto beside = std::make_shared<Linear>(1, 8);
  const auto head = std::make_shared<Linear>(64 + 8, std::ssize(data.classes));
  const Sequential trained{beside, head};  // the names of their parameters
  const auto adam = train::make_optimizer(trained.parameters(), {.name = "adam"});
  train::BatchLoader batches(data.train, card.preprocess, {.batch = 16, .shuffle = true});
  for (int epoch = 0; epoch < 2; ++epoch) {
    batches.start(epoch);
    for (train::Batch b; batches.next(b);) {
      const Tensor number = fn::reshape(fn::mean(b.x, {1, 2, 3}), {b.x.size(0), 1});
      const Tensor seen = photo->forward_stages(b.x, 0, features);  // [N,64]
      const Tensor all = fn::concat({seen, fn::relu((*beside)(number))});
      const Tensor loss = fn::cross_entropy((*head)(all), b.targets.one());
      adam->backward_and_step(loss, 1e-3);
      std::printf("epoch %d: loss %.4f\n", epoch + 1, loss.item());
    }
  }
}
