#include "graft/kernels/cuda/cublas/api.h"

#include <dlfcn.h>

#include <vector>

#include "graft/core/base/environment.h"
#include "graft/core/base/text.h"
#include "graft/kernels/cuda/shared_library.h"

namespace graft::cublas::api {
namespace {

struct LoadedBlas {
  Library functions{};
  std::string why;  // empty: it is there
};

LoadedBlas load_blas() {
  LoadedBlas result;
  const std::string wanted = environment("GRAFT_CUBLASLT_LIBRARY");
  if (wanted == "off") return {{}, "turned off by GRAFT_CUBLASLT_LIBRARY"};
  void* opened = nullptr;
  std::string path, reason;
  for (const std::string& name :
       wanted.empty() ? std::vector<std::string>{"libcublasLt.so.13", "libcublasLt.so.12"}
                      : std::vector<std::string>{wanted}) {
    path = name;
    opened = open_shared_library(path, reason);
    if (opened) break;
  }
  if (!opened) return {{}, str("cuBLASLt 12 or 13 was not found: ", reason)};
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, name));
    if (!function && result.why.empty()) result.why = str(path, " has no ", name);
  };
  Library& f = result.functions;
  find(f.version, "cublasLtGetVersion");
  find(f.error_text, "cublasLtGetStatusString");
  find(f.create, "cublasLtCreate");
  find(f.destroy, "cublasLtDestroy");
  find(f.create_description, "cublasLtMatmulDescCreate");
  find(f.destroy_description, "cublasLtMatmulDescDestroy");
  find(f.set_description, "cublasLtMatmulDescSetAttribute");
  find(f.create_layout, "cublasLtMatrixLayoutCreate");
  find(f.destroy_layout, "cublasLtMatrixLayoutDestroy");
  find(f.set_layout, "cublasLtMatrixLayoutSetAttribute");
  find(f.create_preference, "cublasLtMatmulPreferenceCreate");
  find(f.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  find(f.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  find(f.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(f.multiply, "cublasLtMatmul");
  return result;
}

}  // namespace

const Library* library(std::string& why) {
  static const LoadedBlas* loaded = new LoadedBlas(load_blas());  // never unloaded, as cuDNN
  why = loaded->why;
  return loaded->why.empty() ? &loaded->functions : nullptr;
}

}  // namespace graft::cublas::api
