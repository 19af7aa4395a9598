/* A libcuda.so.1 without a GPU behind it: enough for cuDNN to load and compile kernels for a
   described device, never to run one. What only loads answers 0 (success) and hands out a dummy;
   everything else answers 34, CUDA_ERROR_STUB_LIBRARY. */
typedef int result;

static char dummy[256];

#define HANDS_OUT(name)      \
  result name(void** made) { \
    *made = dummy;           \
    return 0;                \
  }
#define SUCCEEDS(name) \
  result name(void) { return 0; }
#define REFUSES(name) \
  result name(void) { return 34; }
#define READS_ZERO(name)    \
  result name(int* value) { \
    *value = 0;             \
    return 0;               \
  }

SUCCEEDS(cuInit)
result cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}
result cuGetErrorName(int error, const char** name) {
  (void)error;
  *name = "stub";
  return 0;
}
result cuGetErrorString(int error, const char** text) {
  (void)error;
  *text = "no GPU stands behind this driver";
  return 0;
}

HANDS_OUT(cuLibraryLoadData)
HANDS_OUT(cuLibraryGetKernel)
HANDS_OUT(cuLibraryGetModule)
HANDS_OUT(cuKernelGetFunction)
HANDS_OUT(cuModuleLoadData)
HANDS_OUT(cuModuleLoadDataEx)
HANDS_OUT(cuModuleGetFunction)
SUCCEEDS(cuLibraryUnload)
SUCCEEDS(cuModuleUnload)
SUCCEEDS(cuFuncSetAttribute)
SUCCEEDS(cuFuncSetCacheConfig)
SUCCEEDS(cuKernelSetAttribute)
SUCCEEDS(cuKernelSetCacheConfig)
SUCCEEDS(cuCtxGetCurrent)
READS_ZERO(cuFuncGetAttribute)
READS_ZERO(cuKernelGetAttribute)

REFUSES(cuGetExportTable)
REFUSES(cuGetProcAddress)
REFUSES(cuGetProcAddress_v2)
REFUSES(cuCtxGetLimit)
REFUSES(cuCtxPopCurrent)
REFUSES(cuCtxPushCurrent)
REFUSES(cuStreamGetCtx)
REFUSES(cuLinkCreate)
REFUSES(cuLinkAddData)
REFUSES(cuLinkComplete)
REFUSES(cuLinkDestroy)
REFUSES(cuLaunchKernel)
REFUSES(cuLaunchKernelEx)
REFUSES(cuLaunchCooperativeKernel)
REFUSES(cuDeviceGet)
REFUSES(cuDeviceGetCount)
REFUSES(cuLibraryLoadFromFile)
REFUSES(cuOccupancyMaxPotentialClusterSize)
