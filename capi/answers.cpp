// The C API's predictions and features.
#include <limits>
#include <vector>

#include "graft/capi/guard.h"
#include "graft/capi/model.h"

namespace capi = graft::capi;
using graft::ErrorCode;
using graft::fail;
using graft::ImageSource;

namespace graft::capi {
namespace {

PixelOrder order_of(int32_t order) {
  switch (order) {
    case GRAFT_GREY: return PixelOrder::grey;
    case GRAFT_RGB: return PixelOrder::rgb;
    case GRAFT_BGR: return PixelOrder::bgr;
    case GRAFT_RGBA: return PixelOrder::rgba;
    case GRAFT_BGRA: return PixelOrder::bgra;
  }
  fail(ErrorCode::usage, "order is ", order, ", which is none of GRAFT_GREY (1) to GRAFT_BGRA (5)");
}

ImageSource source_of(const graft_image& image) {
  const int given = (image.path != nullptr) + (image.bytes != nullptr) + (image.pixels != nullptr);
  if (given != 1)
    fail(ErrorCode::usage, "an image has one of path, bytes and pixels; this one has ", given);
  if (image.path) return std::string(image.path);
  if (image.bytes) return std::span(static_cast<const std::byte*>(image.bytes), image.byte_count);
  return Pixels{image.pixels, image.width, image.height, order_of(image.order), image.row_bytes};
}

// `count` structs one behind another, each as long as the first says.
std::vector<ImageSource> sources_of(const graft_image* images, size_t count) {
  check_not_null(images, "images");
  std::vector<ImageSource> sources;
  const auto* at = reinterpret_cast<const std::byte*>(images);
  const size_t step = images->size;
  for (size_t i = 0; i < count; ++i, at += step) {
    const graft_image image = read_struct(reinterpret_cast<const graft_image*>(at), "images");
    if (image.size != step)
      fail(ErrorCode::usage, "images[", i, "].size is ", image.size, ", that of the first ", step);
    sources.push_back(source_of(image));
  }
  return sources;
}

// Error(usage) unless `count` times `each` numbers have room.
void check_room(size_t count, size_t each, const float* values, size_t capacity) {
  check_not_null(values, "values");
  if (each != 0 && count > capacity / each)
    fail(ErrorCode::usage, "capacity is ", capacity, " floats; ", count, " images of ", each,
         " need more");
}

size_t outputs_of(const graft_model& model) {
  model.predictor.presentation();  // an error where there is no head
  return static_cast<size_t>(model.predictor.outputs());
}

void copy_answer(const Answer& answer, float* to, size_t outputs) {
  if (static_cast<size_t>(answer.values().numel()) != outputs)
    fail(ErrorCode::usage, "the model answers with a map of each image (", answer.values().shape(),
         "), and this call gives ", outputs, " numbers an image: the C API does not give maps yet");
  std::copy_n(answer.values().data<float>(), outputs, to);
}

void predict_several(const graft_model& model, const std::vector<ImageSource>& sources,
                     float* values, graft_status* statuses) {
  const size_t outputs = outputs_of(model);
  const std::vector<Answer> answers = model.predictor.predict(sources);
  if (!statuses)
    for (const Answer& answer : answers)
      if (!answer.error().empty()) bad_input(answer.error());
  std::string first;
  for (const Answer& answer : answers) {
    const bool is_read = answer.error().empty();
    if (is_read)
      copy_answer(answer, values, outputs);
    else
      std::fill_n(values, outputs, std::numeric_limits<float>::quiet_NaN());
    if (!is_read && first.empty()) first = answer.error();
    if (statuses) *statuses++ = is_read ? GRAFT_OK : GRAFT_BAD_INPUT;
    values += outputs;
  }
  set_message(first);
}

graft_status predict_one(const char* function, const graft_model* model, float* values,
                         size_t capacity, FunctionRef<ImageSource()> source) {
  return guarded(function, [&] {
    check_not_null(model, "model");
    check_room(1, outputs_of(*model), values, capacity);
    predict_several(*model, {source()}, values, nullptr);
  });
}

}  // namespace
}  // namespace graft::capi

graft_status graft_predict(const graft_model* model, const graft_image* images, size_t count,
                           float* values, size_t capacity, graft_status* statuses) {
  return capi::guarded("graft_predict", [&] {
    capi::check_not_null(model, "model");
    if (count == 0) return;
    capi::check_room(count, capi::outputs_of(*model), values, capacity);
    capi::predict_several(*model, capi::sources_of(images, count), values, statuses);
  });
}

graft_status graft_predict_file(const graft_model* model, const char* path, float* values,
                                size_t capacity) {
  return capi::predict_one("graft_predict_file", model, values, capacity, [&] {
    capi::check_not_null(path, "path");
    return ImageSource(std::string(path));
  });
}

graft_status graft_predict_memory(const graft_model* model, const void* bytes, size_t byte_count,
                                  float* values, size_t capacity) {
  return capi::predict_one("graft_predict_memory", model, values, capacity, [&] {
    capi::check_not_null(bytes, "bytes");
    return ImageSource(std::span(static_cast<const std::byte*>(bytes), byte_count));
  });
}

graft_status graft_predict_pixels(const graft_model* model, const uint8_t* pixels, int64_t width,
                                  int64_t height, int64_t row_bytes, int32_t order, float* values,
                                  size_t capacity) {
  return capi::predict_one("graft_predict_pixels", model, values, capacity, [&] {
    capi::check_not_null(pixels, "pixels");
    return ImageSource(graft::Pixels{pixels, width, height, capi::order_of(order), row_bytes});
  });
}

graft_status graft_said(const graft_model* model, const float* values, size_t count, int64_t most,
                        int64_t* indices, size_t capacity, size_t* found) {
  return capi::guarded("graft_said", [&] {
    capi::check_not_null(model, "model");
    capi::check_not_null(values, "values");
    capi::check_not_null(found, "found");
    const size_t outputs = capi::outputs_of(*model);
    if (count != outputs)
      fail(ErrorCode::usage, "count is ", count, "; an answer has ", outputs, " values");
    if (most < 0) fail(ErrorCode::usage, "most is ", most, "; it is at least 0");
    const auto said = model->predictor.presentation().said({values, count}, most);
    *found = said.size();
    if (said.empty()) return;
    capi::check_not_null(indices, "indices");
    if (capacity < said.size())
      fail(ErrorCode::usage, "capacity is ", capacity, "; ", said.size(), " outputs are said");
    for (const auto& one : said) *indices++ = one.index;
  });
}

graft_status graft_feature_count(const graft_model* model, const char* stage, size_t* count) {
  return capi::guarded("graft_feature_count", [&] {
    capi::check_not_null(model, "model");
    capi::check_not_null(count, "count");
    *count = static_cast<size_t>(model->predictor.feature_shape(capi::text_or(stage, "")).numel());
  });
}

graft_status graft_features(const graft_model* model, const char* stage, const graft_image* images,
                            size_t count, float* values, size_t capacity) {
  return capi::guarded("graft_features", [&] {
    capi::check_not_null(model, "model");
    if (count == 0) return;
    const std::string name = capi::text_or(stage, "");
    const auto each = static_cast<size_t>(model->predictor.feature_shape(name).numel());
    capi::check_room(count, each, values, capacity);
    const graft::Tensor features = model->predictor.features(capi::sources_of(images, count), name);
    std::copy_n(features.data<float>(), features.numel(), values);
  });
}
