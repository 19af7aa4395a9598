#include "graft/capi/model.h"

#include "graft/api/written_form.h"
#include "graft/capi/guard.h"

namespace capi = graft::capi;

graft_model::graft_model(graft::Predictor made)
    : predictor(std::move(made)),
      task(predictor.task()),
      network(graft::models::describe(predictor.card().architecture)),
      preprocess(predictor.preprocess().to_json()),
      certificate(predictor.certificate().naming == graft::models::kGraftNaming
                      ? std::string()
                      : predictor.certificate().to_text()) {}

namespace graft::capi {
namespace {

std::string precision_of(int32_t value) {
  switch (value) {
    case GRAFT_FP32: return "fp32";
    case GRAFT_BF16: return "bf16";
    case GRAFT_FP16: return "fp16";
    case GRAFT_INT8: return "int8";
  }
  fail(ErrorCode::usage, "options->precision is ", value,
       ", which is none of GRAFT_FP32 (0) to GRAFT_INT8 (3)");
}

Device device_named(const std::string& name) {
  constexpr std::string_view cuda = "cuda:";
  if (name == "cpu") return {};
  const std::string digits = name.starts_with(cuda) ? name.substr(cuda.size()) : "";
  if (digits.empty() || digits.size() > 3 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    fail(ErrorCode::usage, "options->device is '", name, "', which is none of cpu, cuda:0");
  return {DeviceType::cuda, std::stoi(digits)};
}

models::ImportOptions import_options(const graft_load_options& options) {
  models::ImportOptions import;
  import.prefix = text_or(options.prefix, "");
  import.output = text_or(options.output, "");
  return import;
}

}  // namespace

PredictorOptions predictor_options(const graft_load_options* given) {
  const graft_load_options options = read_optional(given, "options");
  return {.precision = precision_of(options.precision),
          .device = device_named(text_or(options.device, "cpu")),
          .threads = options.threads,
          .import = import_options(options)};
}

}  // namespace graft::capi

int32_t graft_abi_version(void) { return GRAFT_ABI_VERSION; }
const char* graft_version(void) { return GRAFT_VERSION; }
const char* graft_last_error(void) { return capi::message(); }

graft_status graft_load(const char* path, const graft_load_options* options, graft_model** model) {
  return capi::guarded("graft_load", [&] {
    capi::check_not_null(path, "path");
    capi::check_not_null(model, "model");
    const graft::PredictorOptions read = capi::predictor_options(options);
    *model = new graft_model(graft::Predictor(path, read));
  });
}

void graft_free(graft_model* model) { delete model; }

graft_status graft_describe(const graft_model* model, graft_model_info* info) {
  return capi::guarded("graft_describe", [&] {
    capi::check_not_null(model, "model");
    capi::check_not_null(info, "info");
    const graft::io::Preprocess& p = model->predictor.preprocess();
    graft_model_info known{};
    known.task = model->task.empty() ? nullptr : model->task.c_str();
    known.network = model->network.c_str();
    known.preprocess = model->preprocess.c_str();
    known.certificate = model->certificate.c_str();
    known.outputs = model->predictor.outputs();
    known.input_channels = p.channels;
    known.input_height = p.size;
    known.input_width = p.input_width();
    capi::write_struct(info, known, "info");
  });
}

const char* graft_label(const graft_model* model, int64_t index) {
  const char* label = nullptr;
  capi::guarded("graft_label", [&] {
    capi::check_not_null(model, "model");
    const auto& labels = model->predictor.labels();
    if (index < 0 || index >= std::ssize(labels))
      graft::fail(graft::ErrorCode::usage, "index is ", index, "; the model has ", labels.size(),
                  " outputs");
    label = labels[static_cast<size_t>(index)].c_str();
  });
  return label;
}

graft_status graft_thresholds(const graft_model* model, double* thresholds, size_t capacity,
                              size_t* count) {
  return capi::guarded("graft_thresholds", [&] {
    capi::check_not_null(model, "model");
    capi::check_not_null(count, "count");
    const std::vector<double>& known = model->predictor.thresholds();
    *count = known.size();
    if (!thresholds && capacity == 0) return;
    capi::check_not_null(thresholds, "thresholds");
    if (capacity < known.size())
      graft::fail(graft::ErrorCode::usage, "capacity is ", capacity, "; there are ", known.size(),
                  " thresholds");
    std::copy(known.begin(), known.end(), thresholds);
  });
}

graft_status graft_warm_up(const graft_model* model, int64_t batch) {
  return capi::guarded("graft_warm_up", [&] {
    capi::check_not_null(model, "model");
    if (batch < 1) graft::fail(graft::ErrorCode::usage, "batch is ", batch, "; it is at least 1");
    model->predictor.warm_up(batch);
  });
}

graft_status graft_save(const graft_model* model, const char* path) {
  return capi::guarded("graft_save", [&] {
    capi::check_not_null(model, "model");
    capi::check_not_null(path, "path");
    graft::write_by_extension(path, model->predictor.model());
  });
}

graft_status graft_convert(const char* from, const char* to, const graft_load_options* options) {
  return capi::guarded("graft_convert", [&] {
    capi::check_not_null(from, "from");
    capi::check_not_null(to, "to");
    const graft::PredictorOptions read = capi::predictor_options(options);
    graft::check_written_form(to);
    graft::write_by_extension(to, graft::models::import_weights(from, read.import).model);
  });
}
