// A small U-Net of one's own learns where bright squares lie in noise. Usage: f_unet STEPS
#include <cstdio>
#include <cstdlib>

#include "graft/graft.hpp"
namespace fn = graft::functional;
using namespace graft;

class ConvNorm final : public Module {
 public:
  ConvNorm(int64_t in, int64_t out) {
    conv_ = register_module("conv", std::make_shared<Conv2d>(Conv2dOptions{in, out, 3, 1, 1}));
    norm_ = register_module("norm", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out}));
  }
  Tensor forward(const Tensor& x) override { return norm_->normalise(*conv_, x, true); }

 private:
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
};

class UNet final : public Module {
 public:
  UNet() {
    outer_ = register_module("outer", std::make_shared<ConvNorm>(1, 8));
    inner_ = register_module("inner", std::make_shared<ConvNorm>(8, 16));
    up_ =
        register_module("up", std::make_shared<ConvTranspose2d>(ConvTranspose2dOptions{
                                  .in_channels = 16, .out_channels = 8, .kernel = 2, .stride = 2}));
    joined_ = register_module("joined", std::make_shared<ConvNorm>(16, 8));
    last_ = register_module("last", std::make_shared<Conv2d>(Conv2dOptions{
                                        .in_channels = 8, .out_channels = 1, .bias = true}));
  }
  Tensor forward(const Tensor& x) override {  // [N,1,H,W] -> [N,1,H,W], H and W even
    const Tensor wide = (*outer_)(x);
    const Tensor deep = (*inner_)(fn::max_pool(wide, {.window = ops::square_window(2, 2)}));
    return (*last_)((*joined_)(fn::concat({wide, (*up_)(deep)})));
  }

 private:
  std::shared_ptr<ConvNorm> outer_, inner_, joined_;
  std::shared_ptr<ConvTranspose2d> up_;
  std::shared_ptr<Conv2d> last_;
};

// Images [8,1,16,16] of noise, each with a square, and where that is.
std::pair<Tensor, Tensor> made(CountedRandom& random) {
  Tensor where = Tensor::zeros({8, 1, 16, 16});
  for (int64_t n = 0; n < 8; ++n) {
    const auto top = static_cast<int64_t>(random.below(10)),
               left = static_cast<int64_t>(random.below(10));
    for (int64_t y = top; y < top + 6; ++y)
      for (int64_t x = left; x < left + 6; ++x)
        where.mutable_data<float>()[(n * 16 + y) * 16 + x] = 1;
  }
  const Tensor images = where + 0.5 * randn(where.shape(), random);
  return {images.to(MemoryFormat::channels_last), where.to(MemoryFormat::channels_last)};
}

int main(int, char** argv) {
  CountedRandom random(0, RandomPurpose::synthetic);
  UNet network;
  const auto adam = train::make_optimizer(network.parameters(), {.name = "adam"});
  double first = 0, last = 0;
  const int steps = std::atoi(argv[1]);
  for (int step = 0; step < steps; ++step) {
    const auto [images, where] = made(random);
    const Tensor loss = fn::binary_cross_entropy_with_logits(network(images), where);
    adam->backward_and_step(loss, 1e-2);
    last = loss.item();
    if (step == 0) first = last;
  }
  std::printf("loss of the first step %.4f, of the last %.4f\n", first, last);
  return last < first ? 0 : 1;
}
