// calls.c: every function of the C API, called from C99.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// What a check found wrong goes to `failed`, with its line.
struct capi_check {
  void (*failed)(int line, const char* condition, const char* message);
};
// model: a model of graft that classifies; image: a file; pixels: the same image, 24x24 RGB.
void capi_call_everything(const struct capi_check* check, const char* model, const char* image,
                          const unsigned char* pixels, const char* copy);
// weights and data to train on; folder: for the run; model: written.
void capi_train(const struct capi_check* check, const char* weights, const char* data,
                const char* folder, const char* model);
// Wrong calls: each is an error with a sentence.
void capi_wrong_calls(const struct capi_check* check, const char* model, const char* image,
                      const char* data);

#ifdef __cplusplus
}
#endif
