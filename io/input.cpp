#include "graft/io/input.h"

#include <algorithm>
#include <cstring>

#include "graft/io/images/jpeg.h"
#include "graft/io/images/luma.h"
#include "graft/io/images/resampler.h"
#include "graft/io/normaliser.h"

namespace graft::io {
namespace {

ResampleAxis shrunk(const ResampleAxis& axis, int shrink) {
  return {(axis.in + shrink - 1) / shrink,
          axis.low / shrink,
          axis.high / shrink,
          axis.full,
          axis.begin,
          axis.out};
}

}  // namespace

struct InputMaker::Impl {
  Preprocess preprocess;
  Augment augment;
  Normaliser normaliser;
  JpegReader reader;
  Resampler resampler;
  std::vector<std::byte> file;
  std::vector<uint8_t> grey, row;  // resized grey pixels to be repeated; a source row as luma
  Image result;                    // u8 [height,width,channels]

  Impl(const Preprocess& p, const Augment& a)
      : preprocess(p), augment(augment_for(p, a)), normaliser(p) {
    result = {p.input_width(), p.size, p.channels,
              Tensor::empty({p.size, p.input_width(), p.channels}, {.dtype = DType::u8})};
  }

  // Which part of an image of this size, upright, becomes the input; and by how much a JPEG may be
  // shrunk first.
  PlacedWindow place(int64_t width, int64_t height, CountedRandom* random, int& shrink) const {
    const int64_t rows = preprocess.size, columns = preprocess.input_width();
    shrink = 1;
    if (random && preprocess.own_scale)
      return {random_window(preprocess, width, height, *random), width, height};
    if (!random || !augment.crops()) return {kept_window(preprocess, width, height), width, height};
    PlacedWindow placed({columns, rows, 0, 0, columns, rows}, width, height);
    const ResizeBox box = random_box(width, height, augment, *random);
    placed.x.low = box.left, placed.x.high = box.right;
    placed.y.low = box.top, placed.y.high = box.bottom;
    const double least = std::min((box.right - box.left) / static_cast<double>(columns),
                                  (box.bottom - box.top) / static_cast<double>(rows)) /
                         kShrinkMargin;
    for (const int s : {2, 4, 8})
      if (least >= s) shrink = s;
    return placed;
  }

  // Readies the resampler for a source of `channels`; its rows go through feed().
  void start(const PlacedWindow& placed, int64_t channels) {
    const int64_t columns = preprocess.input_width(), pixels = preprocess.pixels(),
                  used = std::min(channels, preprocess.channels);
    uint8_t* to = result.pixels.mutable_data<uint8_t>();
    if (used < preprocess.channels) {
      grey.resize(static_cast<size_t>(pixels));
      to = grey.data();
    }
    if (placed.framed) std::memset(to, 0, static_cast<size_t>(pixels * used));
    resampler.start(placed.x, placed.y, used, preprocess.interpolation,
                    to + (placed.top * columns + placed.left) * used, columns * used);
    row.resize(static_cast<size_t>(resampler.needed().right - resampler.needed().left));
  }

  void feed(const uint8_t* pixels, int64_t channels) {
    if (channels <= preprocess.channels) return resampler.row(pixels);
    luma_row(pixels, std::ssize(row), row.data());
    resampler.row(row.data());
  }

  void finish(int64_t channels) {
    if (channels >= preprocess.channels) return;
    uint8_t* out = result.pixels.mutable_data<uint8_t>();
    for (size_t i = 0; i < grey.size(); ++i) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = grey[i];
  }

  void black() {
    std::fill_n(result.pixels.mutable_data<uint8_t>(), result.pixels.numel(), uint8_t{0});
  }

  void from_image(const Image& image, const PlacedWindow& placed) {
    if (placed.empty) return black();
    start(placed, image.channels);
    const PixelWindow& w = resampler.needed();
    const uint8_t* in = image.pixels.data<uint8_t>();
    for (int64_t y = w.top; y < w.bottom; ++y)
      feed(in + (y * image.width + w.left) * image.channels, image.channels);
    finish(image.channels);
  }

  // Whether the image is padded before a random crop is drawn from it.
  bool pads_first(const CountedRandom* random) const {
    return random && preprocess.pad && augment.crops();
  }

  void from_jpeg(const std::string& name, CountedRandom* random) {
    const JpegHeader header = reader.open(file, name);
    const bool turned = header.orientation >= 5;
    int shrink = 1;
    PlacedWindow placed = place(turned ? header.height : header.width,
                                turned ? header.width : header.height, random, shrink);
    placed.x = shrunk(placed.x, shrink);
    placed.y = shrunk(placed.y, shrink);
    if (header.orientation != 1 || header.channels == 4)
      return from_image(decode_jpeg(file, name, shrink), placed);
    if (placed.empty) return black();
    start(placed, header.channels);
    reader.read(shrink, resampler.needed(),
                [&](const uint8_t* pixels) { feed(pixels, header.channels); });
    finish(header.channels);
  }
};

InputMaker::InputMaker(const Preprocess& preprocess, const Augment& augment)
    : impl_((preprocess.validate(), std::make_unique<Impl>(preprocess, augment))) {}
InputMaker::~InputMaker() = default;

InputMaker::Pixels InputMaker::pixels(const Dataset& dataset, int64_t sample,
                                      CountedRandom* random) {
  Impl& m = *impl_;
  const bool has_file = dataset.encoded(sample, m.file);
  if (has_file && is_jpeg(m.file) && !m.pads_first(random)) {
    m.from_jpeg(dataset.name(sample), random);
  } else {
    Image image = has_file ? decode_image(m.file, dataset.name(sample), m.preprocess.window)
                           : dataset.image(sample);
    check_image(image);
    if (m.pads_first(random))
      image = padded_to(image, m.preprocess.input_width(), m.preprocess.size);
    int shrink = 1;
    m.from_image(image, m.place(image.width, image.height, random, shrink));
  }
  if (!random) return {m.result.pixels.data<uint8_t>(), false};
  const bool mirrored = m.augment.flip && random->uniform() < 0.5;
  if (m.augment.jitters()) jitter(m.result, m.augment, *random);
  if (m.augment.changes()) {
    // Ops have directions: what is still to be mirrored is, and then needs no more.
    if (mirrored) mirror(m.result);
    change(m.result, m.preprocess, m.augment, *random);
    return {m.result.pixels.data<uint8_t>(), false};
  }
  return {m.result.pixels.data<uint8_t>(), mirrored};
}

void InputMaker::let_go() {
  impl_->file = {};
  impl_->reader.close();
}

void InputMaker::normalise(const Pixels& pixels, float* out) const {
  impl_->normaliser(pixels.data, pixels.mirrored, out);
}

void InputMaker::input(const Dataset& dataset, int64_t sample, CountedRandom* random, float* out) {
  normalise(pixels(dataset, sample, random), out);
}

}  // namespace graft::io
