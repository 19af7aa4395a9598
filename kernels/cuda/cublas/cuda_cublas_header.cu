// Compares api.h, which declares cuBLASLt's binary interface, with the library's own header. No
// code; nothing to compare without it.
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>

#include <type_traits>

#include "graft/kernels/cuda/cublas/api.h"

namespace graft::cublas::api {
namespace {

template <class Ours, class Theirs>
constexpr bool same(Ours ours, Theirs theirs) {
  return static_cast<long long>(ours) == static_cast<long long>(theirs) &&
         sizeof(Ours) == sizeof(Theirs);
}
#define GRAFT_SAME(ours, theirs) \
  static_assert(same(ours, theirs), #ours " is another number in cuBLASLt's header")

GRAFT_SAME(Result::success, CUBLAS_STATUS_SUCCESS);
GRAFT_SAME(ComputeType::f32, CUBLAS_COMPUTE_32F);
GRAFT_SAME(ComputeType::tf32, CUBLAS_COMPUTE_32F_FAST_TF32);
GRAFT_SAME(DataType::f32, CUDA_R_32F);
GRAFT_SAME(DataType::f16, CUDA_R_16F);
GRAFT_SAME(DataType::bf16, CUDA_R_16BF);
GRAFT_SAME(DescriptionName::transpose_a, CUBLASLT_MATMUL_DESC_TRANSA);
GRAFT_SAME(DescriptionName::transpose_b, CUBLASLT_MATMUL_DESC_TRANSB);
GRAFT_SAME(DescriptionName::epilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
GRAFT_SAME(DescriptionName::bias, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
GRAFT_SAME(LayoutName::count, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
GRAFT_SAME(LayoutName::stride, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
GRAFT_SAME(PreferenceName::workspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
GRAFT_SAME(PreferenceName::reduction, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
GRAFT_SAME(PreferenceName::alignment_a, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
GRAFT_SAME(PreferenceName::alignment_b, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
GRAFT_SAME(PreferenceName::alignment_c, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
GRAFT_SAME(PreferenceName::alignment_d, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
GRAFT_SAME(Transpose::no, CUBLAS_OP_N);
GRAFT_SAME(Transpose::yes, CUBLAS_OP_T);
GRAFT_SAME(Epilogue::bias, CUBLASLT_EPILOGUE_BIAS);
GRAFT_SAME(Reduction::none, CUBLASLT_REDUCTION_SCHEME_NONE);
GRAFT_SAME(Reduction::compute_type, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
#undef GRAFT_SAME

static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(HeuristicResult, workspace) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(HeuristicResult, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));

// Functions: as many arguments, each of the size that the header says.
template <class Ours, class Theirs>
struct Matches : std::false_type {};
template <class R, class... A, class S, class... B>
requires(sizeof...(A) == sizeof...(B)) struct Matches<R (*)(A...), S (*)(B...)>
    : std::bool_constant<((sizeof(A) == sizeof(B)) && ...)> {
};
#define GRAFT_MATCHES(ours, theirs)                                         \
  static_assert(Matches<decltype(Library::ours), decltype(&theirs)>::value, \
                #theirs " has other arguments in the header")

GRAFT_MATCHES(version, cublasLtGetVersion);
GRAFT_MATCHES(error_text, cublasLtGetStatusString);
GRAFT_MATCHES(create, cublasLtCreate);
GRAFT_MATCHES(destroy, cublasLtDestroy);
GRAFT_MATCHES(create_description, cublasLtMatmulDescCreate);
GRAFT_MATCHES(destroy_description, cublasLtMatmulDescDestroy);
GRAFT_MATCHES(set_description, cublasLtMatmulDescSetAttribute);
GRAFT_MATCHES(create_layout, cublasLtMatrixLayoutCreate);
GRAFT_MATCHES(destroy_layout, cublasLtMatrixLayoutDestroy);
GRAFT_MATCHES(set_layout, cublasLtMatrixLayoutSetAttribute);
GRAFT_MATCHES(create_preference, cublasLtMatmulPreferenceCreate);
GRAFT_MATCHES(destroy_preference, cublasLtMatmulPreferenceDestroy);
GRAFT_MATCHES(set_preference, cublasLtMatmulPreferenceSetAttribute);
GRAFT_MATCHES(heuristic, cublasLtMatmulAlgoGetHeuristic);
GRAFT_MATCHES(multiply, cublasLtMatmul);
#undef GRAFT_MATCHES

}  // namespace
}  // namespace graft::cublas::api
#endif
