#include "graft/train/inputs/image/image_input.h"

#include "graft/core/base/error.h"
#include "graft/io/input.h"

namespace graft::train {
namespace {

class ImageMaker final : public SampleMaker {
 public:
  ImageMaker(const io::Preprocess& preprocess, const io::Augment& augment)
      : maker_(preprocess, augment) {}
  Kept make(const io::Dataset& dataset, int64_t sample, CountedRandom* random) override {
    const io::InputMaker::Pixels pixels = maker_.pixels(dataset, sample, random);
    return {pixels.data, pixels.mirrored};
  }
  void finish(const Kept& kept, float* out) const override {
    maker_.normalise({static_cast<const uint8_t*>(kept.data), kept.mirrored}, out);
  }
  void let_go() override { maker_.let_go(); }

 private:
  io::InputMaker maker_;
};

}  // namespace

void ImageInput::enter(io::Preprocess& preprocess, const std::string& settings) const {
  GRAFT_CHECK(settings.empty(), "--sound is for sounds, these samples are images");
  GRAFT_CHECK(preprocess.input.empty(), "the network was trained on input ", preprocess.input,
              ", these samples are images");
}

std::unique_ptr<SampleMaker> ImageInput::maker(const io::Preprocess& preprocess,
                                               const io::Augment& augment) const {
  return std::make_unique<ImageMaker>(preprocess, augment);
}

int64_t ImageInput::kept_bytes(const io::Preprocess& preprocess) const {
  return preprocess.pixels() * preprocess.channels;
}

io::Augment ImageInput::augment(const std::string& name) const { return io::augment_named(name); }

io::Image ImageInput::picture(const io::Dataset& dataset, int64_t sample,
                              const io::Preprocess& preprocess) const {
  const io::Image image = preprocess.geometry(dataset.image(sample));
  return preprocess.channels == 1 ? io::with_channels(image, 1) : image;
}

}  // namespace graft::train
