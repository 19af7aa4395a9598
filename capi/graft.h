// graft.h: the C API of graft, C99. Load a model, ask it about images, train it, write it.
// docs/c_api.md shows each in use.
//
// - Every call that can fail returns a graft_status, and graft_last_error() then is a sentence that
//   says what was wrong. Nothing is written through an output pointer by a call that failed, unless
//   the function says so.
// - Texts are UTF-8 and end in a zero byte. What a call returns belongs to the handle that it came
//   from, unless it says otherwise; what is given to a call stays the caller's.
// - Structs begin with `size`, which the caller sets to the sizeof of what it was compiled with, so
//   that later versions may add fields at their end. A field left zero has its default.
// - C++ exceptions do not leave these functions, and no signal is raised for wrong arguments; a
//   pointer that points nowhere, or a freed handle, is beyond what can be checked.
#ifndef GRAFT_CAPI_GRAFT_H
#define GRAFT_CAPI_GRAFT_H
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GRAFT_C_API __attribute__((visibility("default")))
#else
#define GRAFT_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Changes when a program compiled with an older header would no longer work.
#define GRAFT_ABI_VERSION 1
// Of the library that is loaded: compare it with GRAFT_ABI_VERSION.
GRAFT_C_API int32_t graft_abi_version(void);
// "0.1.0"; lasts as long as the library.
GRAFT_C_API const char* graft_version(void);

// The values are the exit codes of the graft command.
typedef int32_t graft_status;
enum {
  GRAFT_OK = 0,
  GRAFT_INTERNAL = 1,   // a fault of graft
  GRAFT_USAGE = 2,      // a wrong argument: null, a size, an unknown value
  GRAFT_BAD_INPUT = 3,  // a file, image, label or shape that cannot be used
  GRAFT_RESOURCE = 4,   // out of memory, disk or device trouble
  GRAFT_STOPPED = 130   // left because it was asked to
};
// What was wrong with this thread's last call that returns a status or a text; "" when nothing was.
// Lasts until this thread's next call.
GRAFT_C_API const char* graft_last_error(void);

// ---- models

// A network with its card, ready to run. Any number of threads may use one at once, with the bits
// of one thread; graft_free() only when none does.
typedef struct graft_model graft_model;

enum { GRAFT_FP32 = 0, GRAFT_BF16 = 1, GRAFT_FP16 = 2, GRAFT_INT8 = 3 };

typedef struct graft_load_options {
  size_t size;
  // GRAFT_FP32 ...: GRAFT_FP16 is for CUDA devices, GRAFT_INT8 for models that are calibrated.
  int32_t precision;
  int32_t threads;     // compute threads of its own; 0: those of the process, one a core
  const char* device;  // "cpu" or "cuda:0" ...; NULL: the CPU
  // Of a weight file that is no model of graft: which tensors are the network's (a prefix of their
  // names), and which of a graph's outputs is used. NULL: searched for; the first.
  const char* prefix;
  const char* output;
} graft_load_options;

// Loads a model of graft (.safetensors), or imports a weight file of any format that graft reads.
// `options` may be NULL. *model is to be freed with graft_free().
GRAFT_C_API graft_status graft_load(const char* path, const graft_load_options* options,
                                    graft_model** model);
// NULL is allowed.
GRAFT_C_API void graft_free(graft_model* model);

// What a model is; its texts belong to the model.
typedef struct graft_model_info {
  size_t size;
  const char* task;         // "classify", "multilabel", "regress"; NULL: no head, features only
  const char* network;      // "resnet50, 10 classes" and the like
  const char* preprocess;   // how an image becomes the input, as JSON
  const char* certificate;  // what an import understood, guessed and doubts, for people; "" for a
                            // model of graft
  int64_t outputs;          // numbers of an answer to one image; 0 without a head
  int64_t input_channels, input_height, input_width;
} graft_model_info;
// Fills in as much as info->size has room for.
GRAFT_C_API graft_status graft_describe(const graft_model* model, graft_model_info* info);
// The name of output 0 .. outputs-1; NULL, with a message, for another index.
GRAFT_C_API const char* graft_label(const graft_model* model, int64_t index);
// Of several labels, the probability from which on each is said; of classes that from which on each
// is answered, where a model has such thresholds: `outputs` numbers, *count is how many there are,
// else 0. `thresholds` may be NULL with capacity 0, to ask for the
// count; GRAFT_USAGE, with *count set, when the room is too small.
GRAFT_C_API graft_status graft_thresholds(const graft_model* model, double* thresholds,
                                          size_t capacity, size_t* count);
// Compiles the network, packs its weights and runs `batch` (at least 1) images of zeros: then the
// first prediction is as fast as the hundredth.
GRAFT_C_API graft_status graft_warm_up(const graft_model* model, int64_t batch);

// ---- images

// How the bytes of one pixel stand; alpha is dropped. None is 0, so that it cannot be forgotten.
enum { GRAFT_GREY = 1, GRAFT_RGB = 2, GRAFT_BGR = 3, GRAFT_RGBA = 4, GRAFT_BGRA = 5 };

// One image: a path, the bytes of an image file, or decoded pixels; exactly one of the three.
typedef struct graft_image {
  size_t size;
  const char* path;
  const void* bytes;  // of a JPEG, PNG ... file
  size_t byte_count;
  const uint8_t* pixels;  // 8 bits a channel, upright; the top row's first pixel
  int64_t width, height;
  // From one row's first byte to the next one's: at least a row's bytes, negative where rows stand
  // bottom up; 0: without a gap.
  int64_t row_bytes;
  int32_t order;  // GRAFT_GREY ...
} graft_image;

// ---- answers

// `count` images, one behind another, each of images[0].size bytes: into values the answers,
// `outputs` floats each: probabilities (of several labels each its own), or numbers in their own
// unit. capacity: how many floats values has room for, at least count * outputs. An answer that is
// not finite means nothing: damaged weights, or an overflow. statuses: NULL, then an image that
// cannot be read makes the call fail; or `count` of them, then such an image has its status there
// and NaN for values, the others are answered, the call returns GRAFT_OK, and graft_last_error()
// speaks of the first. count 0 does nothing.
GRAFT_C_API graft_status graft_predict(const graft_model* model, const graft_image* images,
                                       size_t count, float* values, size_t capacity,
                                       graft_status* statuses);
// The same of one image.
GRAFT_C_API graft_status graft_predict_file(const graft_model* model, const char* path,
                                            float* values, size_t capacity);
GRAFT_C_API graft_status graft_predict_memory(const graft_model* model, const void* bytes,
                                              size_t byte_count, float* values, size_t capacity);
GRAFT_C_API graft_status graft_predict_pixels(const graft_model* model, const uint8_t* pixels,
                                              int64_t width, int64_t height, int64_t row_bytes,
                                              int32_t order, float* values, size_t capacity);
// What a model says by an answer's values (`count` is outputs): into indices, of classes the `most`
// likeliest (none where the likeliest stays below its threshold: "don't know"), of several labels
// those at or above their thresholds, the likeliest first, of numbers all. capacity: the room of
// indices; *found: how many there are, GRAFT_USAGE when they do not fit.
GRAFT_C_API graft_status graft_said(const graft_model* model, const float* values, size_t count,
                                    int64_t most, int64_t* indices, size_t capacity, size_t* found);

// ---- features

// How many floats graft_features() gives for an image: what leaves the named stage ("layer3" of a
// ResNet, in the order [C,H,W]), or for NULL what stands before the head. GRAFT_BAD_INPUT, listing
// the stages, for another name.
GRAFT_C_API graft_status graft_feature_count(const graft_model* model, const char* stage,
                                             size_t* count);
// `count` images as of graft_predict(): into values count * graft_feature_count() floats. An image
// that cannot be read makes the call fail.
GRAFT_C_API graft_status graft_features(const graft_model* model, const char* stage,
                                        const graft_image* images, size_t count, float* values,
                                        size_t capacity);

// ---- training

// A flag by which any thread, or a signal handler, stops a training.
typedef struct graft_stop graft_stop;
GRAFT_C_API graft_status graft_stop_new(graft_stop** stop);  // to be freed with graft_stop_free()
GRAFT_C_API void graft_stop_ask(graft_stop* stop);           // NULL is allowed
GRAFT_C_API void graft_stop_free(graft_stop* stop);          // NULL is allowed; after the training

// How far a training is; the pointers last as long as the callback.
typedef struct graft_progress {
  size_t size;
  const char* phase;       // "statistics", "features", "train", "validate"
  int64_t epoch, epochs;   // from 1; 0 before the first
  int64_t done, total;     // images of this phase
  double loss;             // mean so far
  const char* score_name;  // of what is watched; "": nothing is
  double score;
} graft_progress;
// Often, from the training's thread. Not 0: stop.
typedef int (*graft_on_progress)(void* user, const graft_progress* progress);
// A sentence that the user of the program should see: what was guessed, left out or doubted.
typedef void (*graft_on_note)(void* user, const char* sentence);

typedef struct graft_finetune_options {
  size_t size;
  const char* task;    // "classify", "multilabel", "regress"; NULL: what the data's form suggests
  const char* freeze;  // "backbone", "none", or stages ("stem,layer1", "..layer2"); NULL: backbone
  const char* validation;  // path of the validation data; NULL: what the data bring, else a fifth
  int64_t epochs, batch;   // 0: 60 with a frozen backbone, else 10; 32
  double learning_rate;    // 0: the recipe's
  uint64_t seed;
  int32_t new_head;               // not 0: the file's own head is not kept where it fits the data
  int32_t threads;                // compute threads; 0: those of the process
  const char* folder;             // for the run's checkpoint and metrics; NULL: none are kept
  int32_t resume;                 // not 0: go on from the checkpoint in folder, to the same bits
  graft_on_progress on_progress;  // may be NULL
  graft_on_note on_note;          // may be NULL
  void* user;                     // for both
  graft_stop* stop;               // may be NULL
} graft_finetune_options;

typedef struct graft_finetune_result {
  size_t size;
  int64_t epochs;      // that were trained
  int64_t best_epoch;  // the kept one
  double score;        // the task's first (accuracy, mAP, mae), of the kept epoch, on validation
  double loss;         // likewise
  char score_name[32];
} graft_finetune_result;

// Trains weights (any file that graft_load() takes) on data (a folder of class folders, a table
// ...; docs/data.md). `options` and `result` may be NULL. *model holds the kept epoch, is to be
// freed with graft_free(), and is written by graft_save(). GRAFT_STOPPED, without a model, when it
// was asked to stop; with a folder `resume` then goes on.
GRAFT_C_API graft_status graft_finetune(const char* weights, const char* data,
                                        const graft_finetune_options* options, graft_model** model,
                                        graft_finetune_result* result);

// ---- files

// Writes the model by the extension of path: .safetensors (a model of graft, which graft_load()
// takes), .npz (tensors alone) or .onnx. The old file or the new one, never half of it.
GRAFT_C_API graft_status graft_save(const graft_model* model, const char* path);
// Imports a weight file of any format and writes it as graft_save() does.
GRAFT_C_API graft_status graft_convert(const char* from, const char* to,
                                       const graft_load_options* options);

#ifdef __cplusplus
}
#endif
#endif
