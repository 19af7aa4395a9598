#include "graft/tests/capi/calls.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft/capi/graft.h"

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) check->failed(__LINE__, #condition, graft_last_error()); \
  } while (0)
#define CHECK_OK(call) CHECK((call) == GRAFT_OK)
/* The status, and a sentence that begins with the function's name and has the words. */
#define CHECK_ERROR(status, call, words)                                                      \
  do {                                                                                        \
    const graft_status got = (call);                                                          \
    const char* said = graft_last_error();                                                    \
    if (got != (status) || strncmp(said, #call, strcspn(#call, "(")) || !strstr(said, words)) \
      check->failed(__LINE__, #call, said);                                                   \
  } while (0)

enum { MOST = 64 };

static void describe(const struct capi_check* check, const graft_model* m) {
  graft_model_info info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, 0};
  size_t count = 7;
  CHECK_OK(graft_describe(m, &info));
  CHECK(info.task && !strcmp(info.task, "classify"));
  CHECK(info.outputs == 10);
  CHECK(info.input_channels == 3 && info.input_height == 32 && info.input_width == 32);
  CHECK(strstr(info.preprocess, "\"mean\"") != NULL);
  CHECK(strstr(info.network, "resnet") != NULL);
  CHECK(info.certificate[0] == '\0');
  CHECK(graft_label(m, 0) && graft_label(m, 9));
  CHECK_OK(graft_thresholds(m, NULL, 0, &count));
  CHECK(count == 0);
}

static void predict(const struct capi_check* check, const graft_model* m, const char* image,
                    const unsigned char* pixels) {
  float p[10], q[10], both[30];
  unsigned char bgra[24 * 25 * 4], file[4096];
  graft_image three[3];
  graft_status statuses[3];
  int64_t best[3];
  size_t found = 0, bytes;
  float sum = 0;
  int i;
  FILE* f;
  CHECK_OK(graft_predict_file(m, image, p, 10));
  for (i = 0; i < 10; ++i) sum += p[i];
  CHECK(fabs((double)sum - 1) < 1e-5);
  CHECK_OK(graft_said(m, p, 10, 3, best, 3, &found));
  CHECK(found == 3 && p[best[0]] >= p[best[1]] && p[best[1]] >= p[best[2]]);

  f = fopen(image, "rb");
  CHECK(f != NULL);
  bytes = fread(file, 1, sizeof file, f);
  fclose(f);
  CHECK_OK(graft_predict_memory(m, file, bytes, q, 10));
  CHECK(!memcmp(p, q, sizeof p));
  CHECK_OK(graft_predict_pixels(m, pixels, 24, 24, 0, GRAFT_RGB, q, 10));
  CHECK(!memcmp(p, q, sizeof p));
  /* Another order, bottom up, with a gap of a pixel behind each row. */
  for (i = 0; i < 24 * 24; ++i) {
    unsigned char* to = bgra + (i / 24) * 25 * 4 + (i % 24) * 4;
    const unsigned char* from = pixels + ((23 - i / 24) * 24 + i % 24) * 3;
    to[0] = from[2], to[1] = from[1], to[2] = from[0], to[3] = 77;
  }
  CHECK_OK(graft_predict_pixels(m, bgra + 23 * 25 * 4, 24, 24, -25 * 4, GRAFT_BGRA, q, 10));
  CHECK(!memcmp(p, q, sizeof p));

  memset(three, 0, sizeof three);
  three[0].size = three[1].size = three[2].size = sizeof three[0];
  three[0].path = image;
  three[1].path = "/nowhere.jpg";
  three[2].pixels = pixels, three[2].width = three[2].height = 24, three[2].order = GRAFT_RGB;
  CHECK_OK(graft_predict(m, three, 3, both, 30, statuses));
  CHECK(statuses[0] == GRAFT_OK && statuses[1] == GRAFT_BAD_INPUT && statuses[2] == GRAFT_OK);
  CHECK(strstr(graft_last_error(), "/nowhere.jpg") != NULL);
  CHECK(!memcmp(p, both, sizeof p) && !memcmp(p, both + 20, sizeof p) && isnan(both[10]));
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict(m, three, 3, both, 30, NULL), "/nowhere.jpg");
  CHECK_OK(graft_predict(m, NULL, 0, NULL, 0, NULL));
}

static void features(const struct capi_check* check, const graft_model* m, const char* image) {
  graft_image one;
  size_t count = 0, stage = 0;
  float *values, whole[MOST];
  memset(&one, 0, sizeof one);
  one.size = sizeof one;
  one.path = image;
  CHECK_OK(graft_feature_count(m, NULL, &count));
  CHECK(count == 64);
  CHECK_OK(graft_features(m, NULL, &one, 1, whole, MOST));
  CHECK_OK(graft_feature_count(m, "layer1", &stage));
  CHECK(stage == 16 * 32 * 32);
  values = malloc(stage * sizeof *values);
  CHECK_OK(graft_features(m, "layer1", &one, 1, values, stage));
  free(values);
  CHECK_ERROR(GRAFT_USAGE, graft_features(m, NULL, &one, 2, whole, MOST), "capacity is 64");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_feature_count(m, "layer9", &count), "layer3");
}

void capi_call_everything(const struct capi_check* check, const char* model, const char* image,
                          const unsigned char* pixels, const char* copy) {
  graft_model *m = NULL, *again = NULL;
  graft_load_options options;
  float p[10], q[10];
  CHECK(graft_abi_version() == GRAFT_ABI_VERSION);
  CHECK(strchr(graft_version(), '.') != NULL);
  CHECK_OK(graft_load(model, NULL, &m));
  CHECK(graft_last_error()[0] == '\0');
  if (!m) return;
  describe(check, m);
  CHECK_OK(graft_warm_up(m, 2));
  predict(check, m, image, pixels);
  features(check, m, image);
  CHECK_OK(graft_save(m, copy));
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.threads = 1;
  options.device = "cpu";
  CHECK_OK(graft_load(copy, &options, &again));
  CHECK_OK(graft_predict_file(m, image, p, 10));
  CHECK_OK(graft_predict_file(again, image, q, 10));
  CHECK(!memcmp(p, q, sizeof p));
  graft_free(again);
  options.precision = GRAFT_BF16;
  CHECK_OK(graft_load(copy, &options, &again));
  CHECK_OK(graft_predict_file(again, image, q, 10));
  CHECK(fabs((double)p[0] - (double)q[0]) < 0.05);
  graft_free(again);
  CHECK_OK(graft_convert(model, copy, &options));
  graft_free(m);
  graft_free(NULL);
}

struct heard {
  int calls, notes, stop_at;
};

static int on_progress(void* user, const graft_progress* progress) {
  struct heard* heard = user;
  ++heard->calls;
  if (progress->size < sizeof *progress || !progress->phase[0] || !progress->score_name) return 1;
  return heard->stop_at && heard->calls >= heard->stop_at;
}

static void on_note(void* user, const char* sentence) {
  ((struct heard*)user)->notes += sentence[0] != '\0';
}

void capi_train(const struct capi_check* check, const char* weights, const char* data,
                const char* folder, const char* path) {
  graft_model *m = NULL, *none = NULL;
  graft_stop* stop = NULL;
  struct heard heard = {0, 0, 0};
  graft_finetune_options options;
  graft_finetune_result result;
  graft_model_info info;
  memset(&options, 0, sizeof options);
  memset(&result, 0, sizeof result);
  memset(&info, 0, sizeof info);
  options.size = sizeof options;
  result.size = sizeof result;
  info.size = sizeof info;
  options.epochs = 3;
  options.seed = 5;
  options.on_progress = on_progress;
  options.on_note = on_note;
  options.user = &heard;
  CHECK_OK(graft_finetune(weights, data, &options, &m, &result));
  CHECK(heard.calls > 0 && heard.notes > 0);
  CHECK(result.epochs == 3 && result.best_epoch >= 1 && result.score >= 0 && result.score <= 1);
  CHECK(!strcmp(result.score_name, "accuracy"));
  if (!m) return;
  CHECK_OK(graft_describe(m, &info));
  CHECK(info.outputs == 2 && !strcmp(graft_label(m, 0), "blue") &&
        !strcmp(graft_label(m, 1), "red"));
  CHECK_OK(graft_save(m, path));
  graft_free(m);
  m = NULL;
  CHECK_OK(graft_load(path, NULL, &m));
  graft_free(m);

  heard.calls = 0;
  heard.stop_at = 2;
  CHECK_ERROR(GRAFT_STOPPED, graft_finetune(weights, data, &options, &none, &result), "stopped");
  CHECK(none == NULL);
  CHECK_OK(graft_stop_new(&stop));
  graft_stop_ask(stop);
  graft_stop_ask(NULL);
  options.stop = stop;
  options.folder = folder;
  CHECK_ERROR(GRAFT_STOPPED, graft_finetune(weights, data, &options, &none, NULL), "stopped");
  CHECK(none == NULL);
  graft_stop_free(stop);
  graft_stop_free(NULL);
  options.stop = NULL;
  heard.stop_at = 0;
  options.resume = 1;
  CHECK_OK(graft_finetune(weights, data, &options, &none, NULL));
  graft_free(none);
}

static void wrong_loads(const struct capi_check* check, const char* model) {
  graft_model* m = NULL;
  graft_load_options options;
  CHECK_ERROR(GRAFT_USAGE, graft_load(NULL, NULL, &m), "path is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, NULL, NULL), "model is NULL");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_load("/nowhere.safetensors", NULL, &m), "/nowhere");
  memset(&options, 0, sizeof options);
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "size is 0");
  options.size = (size_t)-1;
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "sizeof");
  options.size = sizeof options;
  options.precision = 99;
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "precision is 99");
  options.precision = GRAFT_INT8;
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_load(model, &options, &m), "not calibrated");
  options.precision = GRAFT_FP16;
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "fp16");
  options.precision = GRAFT_FP32;
  options.threads = -1;
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "threads");
  options.threads = 0;
  options.device = "gpu";
  CHECK_ERROR(GRAFT_USAGE, graft_load(model, &options, &m), "device is 'gpu'");
  CHECK(m == NULL);
  {
    struct {
      graft_load_options known;
      int64_t later;
    } longer;
    memset(&longer, 0, sizeof longer);
    longer.known.size = sizeof longer;
    CHECK_OK(graft_load(model, &longer.known, &m));
    graft_free(m);
    m = NULL;
    longer.later = 1;
    CHECK_ERROR(GRAFT_USAGE, graft_load(model, &longer.known, &m), "does not know");
  }
  CHECK_ERROR(GRAFT_USAGE, graft_convert(NULL, "a.npz", NULL), "from is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_convert(model, NULL, NULL), "to is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_convert(model, "a.doc", NULL), ".safetensors");
}

static void wrong_questions(const struct capi_check* check, const graft_model* m) {
  size_t count;
  double threshold;
  graft_model_info info;
  memset(&info, 0, sizeof info);
  CHECK_ERROR(GRAFT_USAGE, graft_describe(NULL, &info), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_describe(m, NULL), "info is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_describe(m, &info), "size is 0");
  CHECK(!graft_label(NULL, 0) && strstr(graft_last_error(), "model is NULL"));
  CHECK(!graft_label(m, -1) && strstr(graft_last_error(), "index is -1"));
  CHECK(!graft_label(m, 10) && strstr(graft_last_error(), "10 outputs"));
  CHECK_ERROR(GRAFT_USAGE, graft_thresholds(NULL, NULL, 0, &count), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_thresholds(m, NULL, 0, NULL), "count is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_thresholds(m, NULL, 3, &count), "thresholds is NULL");
  CHECK_OK(graft_thresholds(m, &threshold, 1, &count));
  CHECK_ERROR(GRAFT_USAGE, graft_warm_up(NULL, 1), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_warm_up(m, 0), "batch is 0");
  CHECK_ERROR(GRAFT_USAGE, graft_save(NULL, "a.npz"), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_save(m, NULL), "path is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_save(m, "model.txt"), ".safetensors");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_save(m, "/nowhere/model.npz"), "/nowhere");
}

static void wrong_predictions(const struct capi_check* check, const graft_model* m,
                              const char* image) {
  float p[10];
  size_t found;
  int64_t best[2];
  graft_status status;
  graft_image one;
  unsigned char pixel[12] = {0};
  CHECK_ERROR(GRAFT_USAGE, graft_predict_file(NULL, image, p, 10), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_file(m, NULL, p, 10), "path is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_file(m, image, NULL, 10), "values is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_file(m, image, p, 9), "capacity is 9");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_file(m, "/nowhere.png", p, 10), "/nowhere.png");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_memory(m, NULL, 5, p, 10), "bytes is NULL");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_memory(m, pixel, 0, p, 10), "image in memory");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_memory(m, pixel, 12, p, 10), "image in memory");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_pixels(m, NULL, 2, 2, 0, GRAFT_RGB, p, 10), "NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_pixels(m, pixel, 2, 2, 0, 12, p, 10), "order is 12");
  CHECK_ERROR(GRAFT_USAGE, graft_predict_pixels(m, pixel, 2, 2, 0, 0, p, 10), "order is 0");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_pixels(m, pixel, 0, 2, 0, GRAFT_RGB, p, 10), "0x2");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_pixels(m, pixel, 2, -2, 0, GRAFT_RGB, p, 10), "2x-2");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_predict_pixels(m, pixel, 2, 2, 5, GRAFT_RGB, p, 10),
              "a row of 2 pixels has 6");
  CHECK_ERROR(GRAFT_BAD_INPUT,
              graft_predict_pixels(m, pixel, INT64_MAX, INT64_MAX, 0, GRAFT_RGB, p, 10), "more");
  memset(&one, 0, sizeof one);
  CHECK_ERROR(GRAFT_USAGE, graft_predict(NULL, &one, 1, p, 10, NULL), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict(m, NULL, 1, p, 10, NULL), "images is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_predict(m, &one, 1, p, 10, NULL), "size is 0");
  one.size = sizeof one;
  CHECK_ERROR(GRAFT_USAGE, graft_predict(m, &one, 1, p, 10, &status), "this one has 0");
  one.path = image;
  one.pixels = pixel;
  CHECK_ERROR(GRAFT_USAGE, graft_predict(m, &one, 1, p, 10, &status), "this one has 2");
  CHECK_ERROR(GRAFT_USAGE, graft_predict(m, &one, SIZE_MAX, p, 10, NULL), "need more");
  CHECK_ERROR(GRAFT_USAGE, graft_features(NULL, NULL, &one, 1, p, 10), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_features(m, NULL, NULL, 1, p, 64), "images is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_features(m, NULL, &one, 1, NULL, 64), "values is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_feature_count(m, NULL, NULL), "count is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_feature_count(NULL, NULL, &found), "model is NULL");
  memset(p, 0, sizeof p);
  CHECK_ERROR(GRAFT_USAGE, graft_said(NULL, p, 10, 1, best, 2, &found), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, NULL, 10, 1, best, 2, &found), "values is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, p, 9, 1, best, 2, &found), "count is 9");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, p, 10, -1, best, 2, &found), "most is -1");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, p, 10, 5, best, 2, &found), "capacity is 2");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, p, 10, 1, NULL, 2, &found), "indices is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_said(m, p, 10, 1, best, 2, NULL), "found is NULL");
}

static void wrong_trainings(const struct capi_check* check, const char* weights, const char* data) {
  graft_model* m = NULL;
  graft_finetune_options options;
  graft_finetune_result result;
  memset(&options, 0, sizeof options);
  memset(&result, 0, sizeof result);
  CHECK_ERROR(GRAFT_USAGE, graft_stop_new(NULL), "stop is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(NULL, data, NULL, &m, NULL), "weights is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, NULL, NULL, &m, NULL), "data is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, NULL, NULL, NULL), "model is NULL");
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, &options, &m, NULL), "size is 0");
  options.size = sizeof options;
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, &options, &m, &result), "size is 0");
  options.epochs = -1;
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, &options, &m, NULL), "epochs -1");
  options.epochs = 0;
  options.threads = -3;
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, &options, &m, NULL), "threads is -3");
  options.threads = 0;
  options.resume = 1;
  CHECK_ERROR(GRAFT_USAGE, graft_finetune(weights, data, &options, &m, NULL), "without a folder");
  options.resume = 0;
  options.task = "divine";
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_finetune(weights, data, &options, &m, NULL), "divine");
  options.task = NULL;
  options.freeze = "layer9";
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_finetune(weights, data, &options, &m, NULL), "layer9");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_finetune(weights, "/nowhere", NULL, &m, NULL), "/nowhere");
  CHECK_ERROR(GRAFT_BAD_INPUT, graft_finetune("/nowhere.pth", data, NULL, &m, NULL), "/nowhere");
  CHECK(m == NULL);
}

void capi_wrong_calls(const struct capi_check* check, const char* model, const char* image,
                      const char* data) {
  graft_model* m = NULL;
  wrong_loads(check, model);
  CHECK_OK(graft_load(model, NULL, &m));
  if (!m) return;
  wrong_questions(check, m);
  wrong_predictions(check, m, image);
  wrong_trainings(check, model, data);
  graft_free(m);
}
