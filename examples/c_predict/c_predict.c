// Classify images in a C program, whatever the model's task is. Usage: c_predict MODEL IMAGE...
#include <stdio.h>
#include <stdlib.h>

#include "graft/capi/graft.h"

static int fail(void) {
  fprintf(stderr, "%s\n", graft_last_error());
  return 1;
}

int main(int argc, char** argv) {
  graft_model* model = NULL;
  graft_model_info info = {.size = sizeof info};
  if (argc < 3 || graft_abi_version() != GRAFT_ABI_VERSION) {
    fprintf(stderr, "usage: c_predict MODEL IMAGE...\n");
    return 2;
  }
  if (graft_load(argv[1], NULL, &model) || graft_describe(model, &info)) return fail();
  const size_t outputs = (size_t)info.outputs;
  float* values = malloc(outputs * sizeof *values);
  int64_t* said = malloc(outputs * sizeof *said);
  int status = values && said ? 0 : 4;
  for (int i = 2; i < argc && status == 0; ++i) {
    size_t found = 0;
    if (graft_predict_file(model, argv[i], values, outputs) ||
        graft_said(model, values, outputs, 1, said, outputs, &found)) {
      status = fail();
      break;
    }
    printf("%s", argv[i]);
    for (size_t k = 0; k < found; ++k)
      printf("\t%s %.4f", graft_label(model, said[k]), (double)values[said[k]]);
    printf("%s\n", found == 0 ? "\t-" : "");
  }
  free(said);
  free(values);
  graft_free(model);
  return status;
}
