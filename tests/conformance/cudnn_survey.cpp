// Which engines cuDNN takes for the convolutions of graft's networks on a described GPU: one JSON
// line a graph on stdout, with engine, workspace and how long the plan took; what is refused stands
// there with the reason. No GPU is needed. Usage: cudnn_survey DEVICE_JSON BATCH NETWORK...
// (tools/cudnn_survey.sh)
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <set>

#include "graft/core/base/file_system.h"
#include "graft/kernels/cuda/cudnn/backend.h"
#include "graft/tests/kernels/cuda/conv_layers.h"

using namespace graft;

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "\"";
}

void report(cudnn::Dnn& dnn, const std::string& network, const cudnn::ConvGraph& graph,
            const cudnn::PlanRules& rules) {
  std::unique_ptr<cudnn::Plan> plan;
  const auto start = std::chrono::steady_clock::now();
  const gpu::Status status = dnn.build(graph, rules, plan);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::steady_clock::now() - start)
                      .count();
  std::printf("{\"network\": %s, \"graph\": %s, \"tf32\": %s, ", quoted(network).c_str(),
              quoted(graph.text()).c_str(), rules.tf32 ? "true" : "false");
  if (plan)
    std::printf(
        "\"engine\": %lld, \"settings\": %s, \"workspace\": %lld, \"compiled\": %s, \"ms\": "
        "%lld}\n",
        static_cast<long long>(plan->engine), quoted(plan->tag).c_str(),
        static_cast<long long>(plan->workspace), plan->compiled ? "true" : "false",
        static_cast<long long>(ms));
  else
    std::printf("\"refused\": %s, \"ms\": %lld}\n", quoted(status.message.substr(0, 400)).c_str(),
                static_cast<long long>(ms));
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) try {
  GRAFT_CHECK(count >= 4, "usage: cudnn_survey DEVICE_JSON BATCH NETWORK...");
  GRAFT_CHECK(dlopen(GRAFT_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL),
              "the stub of the driver does not load");
  std::unique_ptr<cudnn::Dnn> dnn;
  const gpu::Status status = cudnn::open_cudnn_described(read_text_file(words[1], 1 << 16), dnn);
  GRAFT_CHECK(status.ok(), status.message);
  std::printf("{\"cudnn\": %lld, \"device\": %s, \"batch\": %s}\n",
              static_cast<long long>(dnn->version()), dnn->device_text().c_str(), words[2]);
  for (int i = 3; i < count; ++i) {
    const std::string network = words[i];
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
      std::set<std::pair<cudnn::ConvGraph, cudnn::PlanRules>> seen;
      for (const test::ConvLayer& layer : test::conv_layers(network, std::atoll(words[2]), type))
        for (const bool tf32 : {false, true}) {
          if (tf32 && type != DType::f32) continue;
          std::vector<cudnn::ConvGraph> graphs{layer.forward, layer.inference,
                                               test::backward_weight(layer, type)};
          if (!layer.first) graphs.push_back(test::backward_data(layer));
          for (const cudnn::ConvGraph& graph : graphs) {
            const cudnn::PlanRules rules{.tf32 = tf32};
            if (seen.insert({graph, rules}).second) report(*dnn, network, graph, rules);
          }
        }
    }
  }
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "cudnn_survey: %s\n", error.what());
  return 1;
}
