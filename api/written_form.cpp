#include "graft/api/written_form.h"

#include "graft/core/base/error.h"
#include "graft/models/onnx_export.h"

namespace graft {

void check_written_form(const std::string& path) {
  if (!path.ends_with(".safetensors") && !path.ends_with(".onnx") && !path.ends_with(".npz"))
    fail(ErrorCode::usage, path, ": graft writes .safetensors, .npz and .onnx");
}

void write_by_extension(const std::string& path, const models::Model& model) {
  check_written_form(path);
  if (path.ends_with(".safetensors"))
    models::save_model(path, *model.network, model.card);
  else if (path.ends_with(".onnx"))
    io::onnx::write_model(path, models::to_onnx(*model.network, model.card));
  else
    io::write_npz(path, model.network->state_dict());
}

}  // namespace graft
