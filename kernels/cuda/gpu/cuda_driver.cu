#include "graft/kernels/cuda/gpu/cuda_driver.h"

#include <cuda_runtime.h>

#include <cstdint>

#include "graft/core/base/text.h"
#include "graft/kernels/cuda/cublas/backend.h"
#include "graft/kernels/cuda/cudnn/backend.h"

namespace graft::gpu {
namespace {

cudaStream_t stream_of(StreamId id) { return static_cast<cudaStream_t>(id); }
cudaEvent_t event_of(EventId id) { return static_cast<cudaEvent_t>(id); }

// The last error is taken away, so that a call does not report an earlier one's; errors that stay are those of a lost device.
Status status_of(cudaError_t error) {
  if (error == cudaSuccess) return {};
  Status status{Status::Code::failed, str(cudaGetErrorString(error), " (", cudaGetErrorName(error), ")")};
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

class CudaDriver final : public Driver {
 public:
  Status device_count(int& count) override {
    count = 0;
    return status_of(cudaGetDeviceCount(&count));
  }
  Status properties(int device, Properties& result) override {
    cudaDeviceProp found{};
    const cudaError_t error = cudaGetDeviceProperties(&found, device);
    if (error == cudaSuccess)
      result = {found.name, found.major, found.minor, found.multiProcessorCount, static_cast<int64_t>(found.totalGlobalMem), found.l2CacheSize,
                static_cast<int64_t>(found.sharedMemPerBlock)};
    return status_of(error);
  }
  // The pool keeps what is freed in it: without this it gives memory back at every synchronisation.
  Status open(int device) override {
    if (const cudaError_t error = cudaSetDevice(device); error != cudaSuccess) return status_of(error);
    cudaMemPool_t pool = nullptr;
    if (const cudaError_t error = cudaDeviceGetDefaultMemPool(&pool, device); error != cudaSuccess) return status_of(error);
    uint64_t threshold = UINT64_MAX;
    return status_of(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  }

  Status allocate(int64_t bytes, StreamId stream, void*& pointer) override {
    return status_of(cudaMallocAsync(&pointer, static_cast<size_t>(bytes), stream_of(stream)));
  }
  Status free(void* pointer, StreamId stream) override { return status_of(cudaFreeAsync(pointer, stream_of(stream))); }
  Status allocate_pinned(int64_t bytes, void*& pointer) override { return status_of(cudaMallocHost(&pointer, static_cast<size_t>(bytes))); }
  Status free_pinned(void* pointer) override { return status_of(cudaFreeHost(pointer)); }

  Status copy(void* to, const void* from, int64_t bytes, CopyKind kind, StreamId stream) override {
    const cudaMemcpyKind direction = kind == CopyKind::to_device ? cudaMemcpyHostToDevice
                                     : kind == CopyKind::to_host ? cudaMemcpyDeviceToHost
                                                                 : cudaMemcpyDeviceToDevice;
    return status_of(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), direction, stream_of(stream)));
  }
  Status set_bytes(void* to, int value, int64_t bytes, StreamId stream) override {
    return status_of(cudaMemsetAsync(to, value, static_cast<size_t>(bytes), stream_of(stream)));
  }
  Status launch(const Launch& launch, StreamId stream) override {
    void* args[] = {const_cast<void*>(launch.args)};
    return status_of(cudaLaunchKernel(launch.entry, dim3(static_cast<unsigned>(launch.blocks)), dim3(static_cast<unsigned>(launch.threads)), args,
                                      static_cast<size_t>(launch.shared_bytes), stream_of(stream)));
  }

  Status create_stream(StreamId& stream) override {
    cudaStream_t made = nullptr;
    const Status status = status_of(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    stream = made;
    return status;
  }
  Status destroy_stream(StreamId stream) override { return status_of(cudaStreamDestroy(stream_of(stream))); }
  Status synchronize(StreamId stream) override { return status_of(cudaStreamSynchronize(stream_of(stream))); }
  Status create_event(EventId& event, bool timed) override {
    cudaEvent_t made = nullptr;
    const Status status = status_of(cudaEventCreateWithFlags(&made, timed ? cudaEventDefault : cudaEventDisableTiming));
    event = made;
    return status;
  }
  Status destroy_event(EventId event) override { return status_of(cudaEventDestroy(event_of(event))); }
  Status record(EventId event, StreamId stream) override { return status_of(cudaEventRecord(event_of(event), stream_of(stream))); }
  Status wait(StreamId stream, EventId event) override { return status_of(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0)); }
  Status synchronize_event(EventId event) override { return status_of(cudaEventSynchronize(event_of(event))); }
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
    const Status status = status_of(cudaGraphInstantiateWithFlags(&made, static_cast<cudaGraph_t>(graph), 0));
    executable = made;
    return status;
  }
  Status launch_graph(ExecutableId executable, StreamId stream) override {
    return status_of(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable), stream_of(stream)));
  }
  Status destroy_graph(GraphId graph) override { return status_of(cudaGraphDestroy(static_cast<cudaGraph_t>(graph))); }
  Status destroy_executable(ExecutableId executable) override { return status_of(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable))); }

  Status open_dnn(int device, std::unique_ptr<cudnn::Dnn>& dnn) override { return cudnn::open_cudnn(device, dnn); }
  Status open_blas(int, std::unique_ptr<cublas::Blas>& blas) override { return cublas::open_cublas(blas); }
};

}  // namespace

Driver& cuda_driver() {
  static CudaDriver* driver = new CudaDriver;  // never destroyed: tensors may outlive main
  return *driver;
}

}  // namespace graft::gpu
