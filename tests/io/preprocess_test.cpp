// Preprocess against torchvision's Resize, CenterCrop, ToTensor and Normalize
// (tests/data/images/make_images.py).
#include "graft/io/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/io/weights/weights.h"

namespace graft::io {
namespace {

std::string data(const std::string& name) { return std::string(GRAFT_TEST_DATA "/images/") + name; }

Preprocess described(int64_t resize_to, int64_t size,
                     Interpolation interpolation = Interpolation::bilinear) {
  Preprocess p;
  p.resize_to = resize_to;
  p.size = size;
  p.interpolation = interpolation;
  return p;
}

TEST(PreprocessTest, IsTorchvisions) {
  const WeightFile goldens = read_weights(data("preprocessed.npz"));
  const Preprocess kinds[] = {described(40, 32), described(32, 32, Interpolation::bicubic),
                              described(24, 32), described(37, 24), described(0, 28)};
  const double one_level =
      1.001 / 255 / 0.224;  // Pillow's rounding, divided by the smallest deviation
  for (const char* name : {"landscape", "portrait", "square", "small"}) {
    const Image image = read_image(data(str(name, ".png")));
    for (const Preprocess& p : kinds) {
      const char* kind = p.interpolation == Interpolation::bilinear ? "bilinear" : "bicubic";
      const std::string key = str(name, "/", p.resize_to, "/", p.size, "/", kind);
      const Tensor actual = p.apply(image), expected = goldens.tensors.at(key);
      ASSERT_EQ(actual.shape(), expected.shape()) << key;
      double worst = 0, sum = 0;
      for (int64_t i = 0; i < actual.numel(); ++i) {
        const double difference =
            std::abs(double{actual.data<float>()[i]} - double{expected.data<float>()[i]});
        worst = std::max(worst, difference);
        sum += difference;
      }
      EXPECT_LE(worst, one_level) << key;
      EXPECT_LE(sum / static_cast<double>(actual.numel()), one_level / 5) << key;
    }
  }
}

TEST(PreprocessTest, ChannelsScaleAndOrder) {
  Preprocess p = described(0, 1);
  p.mean = {10, 20, 30};
  p.deviation = {1, 2, 4};
  p.scale = 1;
  Image pixel{1, 1, 3, Tensor::of<uint8_t>({1, 1, 3}, {100, 150, 200})};
  EXPECT_EQ(p.apply(pixel).to_doubles(), (std::vector<double>{90, 65, 42.5}));
  p.bgr = true;
  EXPECT_EQ(p.apply(pixel).to_doubles(), (std::vector<double>{190, 65, 17.5}));
  const Image grey{1, 1, 1, Tensor::of<uint8_t>({1, 1, 1}, {50})};
  EXPECT_EQ(p.apply(grey).to_doubles(),
            (std::vector<double>{40, 15, 5}));  // the one channel, three times
  p.bgr = false;
  p.channels = 1;
  p.mean = {0};
  p.deviation = {2};
  EXPECT_EQ(p.apply(grey).to_doubles(), std::vector<double>{25});
  EXPECT_EQ(p.apply(pixel).to_doubles(),
            std::vector<double>{(100 * 19595 + 150 * 38470 + 200 * 7471 + 32768) / 65536 / 2.0});
}

TEST(PreprocessTest, InterleavedOutputHoldsTheSameNumbers) {
  const Preprocess p = described(40, 32);
  const Image image = read_image(data("landscape.png"));
  std::vector<float> interleaved(32 * 32 * 3);
  p.normalise_into(p.geometry(image), interleaved.data());
  const Tensor planes = p.apply(image);
  for (int64_t i = 0; i < 32 * 32; ++i)
    for (int64_t c = 0; c < 3; ++c)
      ASSERT_EQ(planes.data<float>()[c * 32 * 32 + i], interleaved[static_cast<size_t>(3 * i + c)]);
  EXPECT_THROW(p.normalise_into(image, interleaved.data()), Error);  // not 32 x 32
}

TEST(PreprocessTest, ImagesAndNumbersThatDoNotFitAreErrors) {
  const auto image = [](int64_t width, int64_t height, int64_t channels, Tensor pixels) {
    return Image{width, height, channels, std::move(pixels)};
  };
  const Tensor good = Tensor::zeros({40, 30, 3}, {.dtype = DType::u8});
  Preprocess p = imagenet_preprocess(16);
  EXPECT_EQ(p.apply(image(30, 40, 3, good)).shape(), (Shape{3, 16, 16}));
  std::vector<float> out(16 * 16 * 3);
  const Tensor small = Tensor::zeros({4, 4, 3}, {.dtype = DType::u8});
  for (const Image& broken :
       {image(640, 480, 3, small), image(40, 30, 3, good), image(30, 40, 1, good),
        image(30, 40, 3, Tensor()), image(30, 40, 3, Tensor::zeros({40, 30, 3})), Image{},
        image(16, 16, 3, small)}) {
    EXPECT_THROW(p.apply(broken), Error);
    EXPECT_THROW(p.geometry(broken), Error);
    EXPECT_THROW(p.normalise_into(broken, out.data()), Error);
    EXPECT_THROW(resize(broken, 5, 5), Error);
    EXPECT_THROW(with_channels(broken, 1), Error);
  }
  p.mean = {0};
  EXPECT_THROW(p.apply(image(30, 40, 3, good)), Error);
  p = imagenet_preprocess(16);
  p.deviation = {1, 0, 1};
  EXPECT_THROW(p.apply(image(30, 40, 3, good)), Error);
}

TEST(PreprocessTest, SidesThatDiffer) {
  Preprocess p = described(0, 8);
  p.set_size(8, 24);
  EXPECT_EQ(p.sides(), "8x24");
  EXPECT_EQ(p.fit(), "squash");
  const Image image = read_image(data("square.png"));
  EXPECT_EQ(p.apply(image).shape(), Shape({3, 8, 24}));
  const auto bytes = [](const Image& i) { return i.pixels.to_doubles(); };
  EXPECT_EQ(bytes(p.geometry(image)), bytes(resize(image, 24, 8)));
  p.set_fit("crop");  // covers: 24x24, of which the middle rows are kept
  EXPECT_EQ(p.resize_to, 8);
  const std::vector<double> covering = bytes(resize(image, 24, 24));
  EXPECT_EQ(bytes(p.geometry(image)),
            std::vector(covering.begin() + 8 * 24 * 3, covering.begin() + 16 * 24 * 3));
  p.set_fit("pad");  // fits in: 8x8 in the middle
  const Image padded = p.geometry(image), small = resize(image, 8, 8);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 24; ++x)
      EXPECT_EQ(padded.pixels.data<uint8_t>()[(y * 24 + x) * 3],
                x < 8 || x >= 16 ? 0 : small.pixels.data<uint8_t>()[(y * 8 + x - 8) * 3]);
  EXPECT_EQ(Preprocess::from_json(p.to_json()), p);
  p.set_size(16);
  EXPECT_EQ(p.sides(), "16x16");
  EXPECT_EQ(image_sides("64x192"), (std::array<int64_t, 2>{64, 192}));
  EXPECT_EQ(image_sides("64"), (std::array<int64_t, 2>{64, 64}));
  for (const char* wrong : {"", "x", "64x", "x64", "0", "64x192x3", "9000"})
    EXPECT_THROW(image_sides(wrong), Error) << wrong;
}

TEST(PreprocessTest, ImagenetKeepsTheUsualShare) {
  EXPECT_EQ(imagenet_preprocess().resize_to, 256);
  EXPECT_EQ(imagenet_preprocess(64).resize_to, 73);
  imagenet_preprocess(32).validate();
}

TEST(PreprocessTest, JsonRoundTrip) {
  Preprocess p = described(37, 24, Interpolation::bicubic);
  p.bgr = true;
  p.scale = 1.0 / 3;
  p.mean = {0.1, 1e-300, -7};
  EXPECT_EQ(Preprocess::from_json(p.to_json()), p);
  EXPECT_EQ(Preprocess::from_json(p.to_json()).to_json(), p.to_json());
  EXPECT_EQ(Preprocess::from_json(Preprocess{}.to_json()), Preprocess{});
}

TEST(PreprocessTest, DamagedJsonIsOneError) {
  const std::string whole = Preprocess{}.to_json();
  const auto fails = [](const std::string& json) {
    try {
      Preprocess::from_json(json);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return true;
    }
    return false;
  };
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_TRUE(fails(whole.substr(0, length))) << length;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = whole;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? "" : changed.replace(at, from.size(), to);
  };
  for (const char* number :
       {"1e30", "-1e300", "224.5", "18446744073709551615", "99999999999999999999999999"}) {
    EXPECT_TRUE(fails(with("\"size\":224", std::string("\"size\":") + number))) << number;
  }
  EXPECT_TRUE(fails(with("\"bilinear\"", "\"nearest\"")));
  EXPECT_TRUE(fails(with("\"size\":224", "\"size\":0")));
  EXPECT_TRUE(fails(with("\"size\":224", "\"size\":\"224\"")));
  EXPECT_TRUE(fails(with("\"channels\":3", "\"channels\":4")));
  EXPECT_TRUE(fails(with("\"channels\":3", "\"channels\":1")));
  EXPECT_TRUE(fails(with("0.229", "0")));
  EXPECT_TRUE(fails(with("0.485", "null")));
  EXPECT_TRUE(fails(std::string(100'000, '[')));
}

}  // namespace
}  // namespace graft::io
