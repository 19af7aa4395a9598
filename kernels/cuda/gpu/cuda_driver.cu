#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "graft/core/base/environment.h"
#include "graft/core/base/text.h"
#include "graft/kernels/cuda/cublas/backend.h"
#include "graft/kernels/cuda/cudnn/backend.h"
#include "graft/kernels/cuda/gpu/cuda_driver.h"

namespace graft::gpu {
namespace {

cudaStream_t stream_of(StreamId id) { return static_cast<cudaStream_t>(id); }
cudaEvent_t event_of(EventId id) { return static_cast<cudaEvent_t>(id); }

// The last error is taken away, so that a call does not report an earlier one's; errors that stay
// are those of a lost device.
Status status_of(cudaError_t error) {
  if (error == cudaSuccess) return {};
  Status status{Status::Code::failed,
                str(cudaGetErrorString(error), " (", cudaGetErrorName(error), ")")};
  if (error == cudaErrorMemoryAllocation) status.code = Status::Code::out_of_memory;
  cudaGetLastError();
  if (cudaPeekAtLastError() != cudaSuccess) status.code = Status::Code::lost;
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorECCUncorrectable:
    case cudaErrorAssert:
    case cudaErrorDevicesUnavailable: status.code = Status::Code::lost; break;
    default: break;
  }
  return status;
}

// One of the driver's own functions, found through the runtime, so that the program needs no
// libcuda to start.
template <class Function>
struct DriverFunction {
  Function call = nullptr;
  Status status;
  explicit DriverFunction(const char* name) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
#else
    const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
    if (error != cudaSuccess)
      status = status_of(error);
    else if (result != cudaDriverEntryPointSuccess || !found)
      status = {Status::Code::failed, str("the driver has no ", name)};
    else
      call = reinterpret_cast<Function>(found);
  }
};
int driver_version() {
  static const int version = [] {
    int found = 0;
    return cudaDriverGetVersion(&found) == cudaSuccess ? found : 0;
  }();
  return version;
}
// Gives a new map of a tensor of `bytes` away.
Status hand_over(CUresult result, const CUtensorMap& made, int64_t bytes, TensorMap& map) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) &&
                alignof(TensorMap) >= alignof(CUtensorMap));
  if (result != CUDA_SUCCESS)
    return {Status::Code::failed,
            str("the driver refuses the tensor map (error ", static_cast<int>(result), ")")};
  std::memcpy(&map, &made, sizeof map);
  mend_small_tensor(map, bytes, driver_version());
  return {};
}
cuuint64_t size_of_axis(int64_t size) { return static_cast<cuuint64_t>(size); }

thread_local int t_device = -1;  // what cudaSetDevice made this thread's; -1: nothing yet

// GRAFT_CUDA_POOLS=0: as on a device that has none.
bool has_pools(int device) {
  int supported = 0;
  if (cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  return supported != 0 && environment("GRAFT_CUDA_POOLS") != "0";
}

class CudaDriver final : public Driver {
 public:
  Status device_count(int& count) override {
    count = 0;
    return status_of(cudaGetDeviceCount(&count));
  }
  Status properties(int device, Properties& result) override {
    cudaDeviceProp found{};
    const cudaError_t error = cudaGetDeviceProperties(&found, device);
    if (error != cudaSuccess) return status_of(error);
    int runtime = 0;
    cudaRuntimeGetVersion(&runtime);
    result = {found.name,
              found.major,
              found.minor,
              found.multiProcessorCount,
              static_cast<int64_t>(found.totalGlobalMem),
              found.l2CacheSize,
              static_cast<int64_t>(found.sharedMemPerBlock),
              driver_version(),
              runtime,
              has_pools(device)};
    return {};
  }
  // The pool keeps what is freed in it: without this it gives memory back at every synchronisation.
  Status open(int device) override {
    if (Status status = use(device); !status.ok()) return status;
    if (!has_pools(device)) return {};
    cudaMemPool_t pool = nullptr;
    if (const cudaError_t error = cudaDeviceGetDefaultMemPool(&pool, device); error != cudaSuccess)
      return status_of(error);
    uint64_t threshold = UINT64_MAX;
    return status_of(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  }

  Status use(int device) override {
    if (t_device == device) return {};
    const cudaError_t error = cudaSetDevice(device);
    if (error == cudaSuccess) t_device = device;
    return status_of(error);
  }

  Status allocate(int64_t bytes, StreamId stream, void*& pointer) override {
    return status_of(cudaMallocAsync(&pointer, static_cast<size_t>(bytes), stream_of(stream)));
  }
  Status free(void* pointer, StreamId stream) override {
    return status_of(cudaFreeAsync(pointer, stream_of(stream)));
  }
  Status allocate_waiting(int64_t bytes, void*& pointer) override {
    return status_of(cudaMalloc(&pointer, static_cast<size_t>(bytes)));
  }
  Status free_waiting(void* pointer) override { return status_of(cudaFree(pointer)); }
  Status allocate_pinned(int64_t bytes, void*& pointer) override {
    return status_of(cudaMallocHost(&pointer, static_cast<size_t>(bytes)));
  }
  Status free_pinned(void* pointer) override { return status_of(cudaFreeHost(pointer)); }

  Status copy(void* to, const void* from, int64_t bytes, CopyKind kind, StreamId stream) override {
    const cudaMemcpyKind direction = kind == CopyKind::to_device ? cudaMemcpyHostToDevice
                                     : kind == CopyKind::to_host ? cudaMemcpyDeviceToHost
                                                                 : cudaMemcpyDeviceToDevice;
    return status_of(
        cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), direction, stream_of(stream)));
  }
  Status set_bytes(void* to, int value, int64_t bytes, StreamId stream) override {
    return status_of(cudaMemsetAsync(to, value, static_cast<size_t>(bytes), stream_of(stream)));
  }
  Status launch(const Launch& launch, StreamId stream) override {
    void* args[] = {const_cast<void*>(launch.args)};
    if (launch.shared_bytes > 48 << 10)
      if (const cudaError_t error = cudaFuncSetAttribute(
              launch.entry, cudaFuncAttributeMaxDynamicSharedMemorySize, launch.shared_bytes);
          error != cudaSuccess)
        return status_of(error);
    return status_of(cudaLaunchKernel(launch.entry, dim3(static_cast<unsigned>(launch.blocks)),
                                      dim3(static_cast<unsigned>(launch.threads)), args,
                                      static_cast<size_t>(launch.shared_bytes), stream_of(stream)));
  }

  Status create_stream(StreamId& stream) override {
    cudaStream_t made = nullptr;
    const Status status = status_of(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    stream = made;
    return status;
  }
  Status destroy_stream(StreamId stream) override {
    return status_of(cudaStreamDestroy(stream_of(stream)));
  }
  Status synchronize(StreamId stream) override {
    return status_of(cudaStreamSynchronize(stream_of(stream)));
  }
  Status create_event(EventId& event, bool timed) override {
    cudaEvent_t made = nullptr;
    const Status status = status_of(
        cudaEventCreateWithFlags(&made, timed ? cudaEventDefault : cudaEventDisableTiming));
    event = made;
    return status;
  }
  Status destroy_event(EventId event) override {
    return status_of(cudaEventDestroy(event_of(event)));
  }
  Status record(EventId event, StreamId stream) override {
    return status_of(cudaEventRecord(event_of(event), stream_of(stream)));
  }
  Status wait(StreamId stream, EventId event) override {
    return status_of(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0));
  }
  Status synchronize_event(EventId event) override {
    return status_of(cudaEventSynchronize(event_of(event)));
  }
  Status elapsed(EventId from, EventId to, float& milliseconds) override {
    return status_of(cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to)));
  }

  Status begin_capture(StreamId stream) override {
    return status_of(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal));
  }
  Status end_capture(StreamId stream, GraphId& graph) override {
    cudaGraph_t captured = nullptr;
    const Status status = status_of(cudaStreamEndCapture(stream_of(stream), &captured));
    graph = captured;
    return status;
  }
  Status instantiate(GraphId graph, ExecutableId& executable) override {
    cudaGraphExec_t made = nullptr;
    const Status status =
        status_of(cudaGraphInstantiateWithFlags(&made, static_cast<cudaGraph_t>(graph), 0));
    executable = made;
    return status;
  }
  Status launch_graph(ExecutableId executable, StreamId stream) override {
    return status_of(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable), stream_of(stream)));
  }
  Status destroy_graph(GraphId graph) override {
    return status_of(cudaGraphDestroy(static_cast<cudaGraph_t>(graph)));
  }
  Status destroy_executable(ExecutableId executable) override {
    return status_of(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable)));
  }

  Status encode(const BoxMap& boxes, TensorMap& map) override {
    static const DriverFunction<decltype(&cuTensorMapEncodeTiled)> function(
        "cuTensorMapEncodeTiled");
    if (!function.call) return function.status;
    const cuuint64_t sizes[] = {size_of_axis(boxes.sizes[0]), size_of_axis(boxes.sizes[1]),
                                size_of_axis(boxes.sizes[2])};
    const cuuint64_t strides[] = {sizes[0] * 2, sizes[0] * sizes[1] * 2};
    const cuuint32_t box[] = {static_cast<cuuint32_t>(boxes.box[0]),
                              static_cast<cuuint32_t>(boxes.box[1]),
                              static_cast<cuuint32_t>(boxes.box[2])},
                     steps[] = {1, 1, 1};
    CUtensorMap made{};
    const CUresult result = function.call(
        &made, CU_TENSOR_MAP_DATA_TYPE_UINT16, 3, const_cast<void*>(boxes.data), sizes, strides,
        box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return hand_over(result, made, boxes.sizes[0] * boxes.sizes[1] * boxes.sizes[2] * 2, map);
  }
  Status encode(const PixelMap& p, TensorMap& map) override {
    static const DriverFunction<decltype(&cuTensorMapEncodeIm2col)> function(
        "cuTensorMapEncodeIm2col");
    if (!function.call) return function.status;
    const cuuint64_t sizes[] = {size_of_axis(p.c), size_of_axis(p.w), size_of_axis(p.h),
                                size_of_axis(p.n)};
    const cuuint64_t strides[] = {sizes[0] * 2, sizes[0] * sizes[1] * 2,
                                  sizes[0] * sizes[1] * sizes[2] * 2};
    const int lower[] = {p.lower_w, p.lower_h},
              upper[] = {p.upper_w, p.upper_h};  // w first, as all axes
    const cuuint32_t steps[] = {1, static_cast<cuuint32_t>(p.step_w),
                                static_cast<cuuint32_t>(p.step_h), 1};
    CUtensorMap made{};
    const CUresult result =
        function.call(&made, CU_TENSOR_MAP_DATA_TYPE_UINT16, 4, const_cast<void*>(p.data), sizes,
                      strides, lower, upper, kBoxRow, static_cast<cuuint32_t>(p.pixels), steps,
                      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return hand_over(result, made, p.c * p.w * p.h * p.n * 2, map);
  }

  Status open_dnn(int device, std::unique_ptr<cudnn::Dnn>& dnn) override {
    return cudnn::open_cudnn(device, dnn);
  }
  Status open_blas(int, std::unique_ptr<cublas::Blas>& blas) override {
    return cublas::open_cublas(blas);
  }
};

}  // namespace

Driver& cuda_driver() {
  static CudaDriver* driver = new CudaDriver;  // never destroyed: tensors may outlive main
  return *driver;
}

}  // namespace graft::gpu
