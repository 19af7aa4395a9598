// PyTorch's export archives (tests/data/pt2/make_pt2.py): answers and gradients are PyTorch's, an
// image's answer is its answer in a batch, and what leaves as ONNX is the same network.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/io/weights/formats.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/dropout.h"
#include "graft/models/aten/aten_graph.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

std::string exported_file(const std::string& name) {
  return str(GRAFT_TEST_DATA "/pt2/", name, ".pt2");
}
StateDict exported_answers(const std::string& name) {
  return io::read_weights(str(GRAFT_TEST_DATA "/pt2/", name, ".npz")).tensors;
}

// The largest difference by the largest value.
double exported_difference(const Tensor& got, const Tensor& wanted) {
  EXPECT_EQ(got.shape(), wanted.shape());
  const std::vector<double> a = got.to_doubles(), b = wanted.to_doubles();
  double difference = 0, largest = 1e-6;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return difference / largest;
}

class ExportedPrograms : public testing::TestWithParam<const char*> {};

TEST_P(ExportedPrograms, AnswerAsInPyTorch) {
  const StateDict stored = exported_answers(GetParam());
  const Imported imported = test::import_checked(exported_file(GetParam()));
  StagedNetwork& network = *imported.model.network;
  {
    const NoGradGuard no_grad;
    const Tensor y = network.forward(stored.at("x"));
    EXPECT_LE(exported_difference(y, stored.at("y")), 1e-4);
  }
  const auto& config = std::get<GraphConfig>(imported.model.card.architecture);
  EXPECT_EQ(config.classes, stored.at("y").size(1)) << "the classifier is found";
}

TEST_P(ExportedPrograms, GradientsAreThoseOfPyTorch) {
  const StateDict stored = exported_answers(GetParam());
  const Imported imported = test::import_checked(exported_file(GetParam()));
  StagedNetwork& network = *imported.model.network;
  const Tensor y = network.forward(stored.at("x"));
  backward(functional::reduce(functional::mul(y, y), {.function = ops::Reduce::mean}));
  const std::vector<NamedTensor> parameters = network.parameters();
  size_t compared = 0;
  for (const auto& [name, gradient] : stored) {
    if (!name.starts_with("d/")) continue;
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const auto& p) { return p.name == name.substr(2); });
    ASSERT_NE(found, parameters.end()) << name << " is no parameter under PyTorch's name";
    const Tensor got = grad_of(found->tensor);
    ASSERT_TRUE(got.defined()) << name;
    EXPECT_LE(exported_difference(got, gradient), 1e-3) << name;
    ++compared;
  }
  EXPECT_GT(compared, 3u);
}

TEST_P(ExportedPrograms, LeaveAsOnnxAndTakeAHead) {
  const StateDict stored = exported_answers(GetParam());
  Imported imported = test::import_checked(exported_file(GetParam()));
  const TemporaryFolder folder;
  const std::string path = folder / "left.onnx";
  io::onnx::write_model(path, to_onnx(*imported.model.network, imported.model.card));
  const NoGradGuard no_grad;
  const Tensor y = test::import_checked(path).model.network->forward(stored.at("x"));
  EXPECT_LE(exported_difference(y, stored.at("y")), 1e-4);
  replace_head(imported.model, 7, 1);
  EXPECT_EQ(imported.model.network->forward(stored.at("x")).shape(), Shape({3, 7}));
}

INSTANTIATE_TEST_SUITE_P(OfPyTorch, ExportedPrograms,
                         testing::Values("cnn", "vit", "operators", "swin", "vit_of_one",
                                         "training", "cnn_core", "vit_core"));

bool has_note(const Imported& imported, const std::string& words) {
  const auto& notes = imported.certificate.notes;
  return std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
    return note.find(words) != std::string::npos;
  });
}

TEST(ExportedProgram, TrainingModeBecomesGraftsOwn) {
  const Imported imported = test::import_checked(exported_file("training"));
  EXPECT_TRUE(has_note(imported, "2 batch norms were exported in training mode"));
  EXPECT_TRUE(has_note(imported, "1 random operators"));
  size_t norms = 0, dropouts = 0;
  imported.model.network->for_each_module([&](const std::string&, Module& module) {
    norms += dynamic_cast<const BatchNorm2d*>(&module) != nullptr;
    dropouts += dynamic_cast<const Dropout*>(&module) != nullptr;
  });
  EXPECT_EQ(norms, 2u);
  EXPECT_EQ(dropouts, 1u);
}

TEST(ExportedProgram, AFixedBatchIsSaid) {
  const Imported imported = test::import_checked(exported_file("vit_of_one"));
  EXPECT_TRUE(has_note(imported, "declares batches of 1"));
  EXPECT_TRUE(has_note(imported, "exported for batches of 1"));
}

TEST(ExportedProgram, ItsFileIsAlsoWeights) {
  const io::WeightFile file = io::read_weights(exported_file("cnn"));
  EXPECT_EQ(file.format, "pt2");
  EXPECT_EQ(file.metadata.at("producer_name"), "torch.export");
  EXPECT_TRUE(file.metadata.at("producer_version").starts_with("2."));
  EXPECT_EQ(file.tensors.at("bn1.running_var").shape(), Shape({8}));
}

std::string refused_program(const io::ExportedProgram& program) {
  try {
    onnx_graph(program);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(ExportedProgram, UnknownOperatorsAreNamedAllAtOnce) {
  io::ExportedProgram program = io::read_exported_program(exported_file("cnn"));
  size_t changed = 0;
  for (io::ExportedNode& node : program.nodes)
    if (node.target == "torch.ops.aten.linear.default")
      node.target = "torch.ops.mine.linear.default", ++changed;
    else if (node.target == "torch.ops.aten.flatten.using_ints")
      node.target = "torch.ops.aten.frobnicate.default", ++changed;
  ASSERT_EQ(changed, 2u);
  const std::string sentence = refused_program(program);
  for (const char* word : {"cnn.pt2", "torch.ops.mine.linear.default", "torch.ops.aten.frobnicate"})
    EXPECT_NE(sentence.find(word), std::string::npos) << sentence;
}

// x, its first row (a view), the whole changed in place, then the row read again.
TEST(ExportedProgram, ViewsOfWhatWasChangedAreRefused) {
  io::ExportedProgram program;
  program.path = "p";
  program.inputs = {{"x", io::ExportedRole::user, ""}};
  for (const char* value : {"x", "row", "x2", "sum"})
    program.values[value] = {7, {2, 3}, {3, 1}, 0};
  const auto tensor = [](const char* name, const char* value) {
    return io::ExportedArgument{name, io::ExportedKind::tensor, "as_tensor", {value}, {}, {}};
  };
  program.nodes = {{"torch.ops.aten.slice.Tensor", "row", "", {tensor("self", "x")}, {"row"}},
                   {"torch.ops.aten.relu_.default", "x2", "", {tensor("self", "x")}, {"x2"}},
                   {"torch.ops.aten.add.Tensor",
                    "sum",
                    "",
                    {tensor("self", "x2"), tensor("other", "row")},
                    {"sum"}}};
  program.outputs = {"sum"};
  EXPECT_NE(refused_program(program).find("changed in place through another view"),
            std::string::npos);
  program.nodes[2].inputs[1].texts = {"x"};  // x itself is what it became
  const io::onnx::Model model = onnx_graph(program);
  EXPECT_EQ(model.graph.nodes.back().inputs, (std::vector<std::string>{"x2", "x2"}));
}

}  // namespace
}  // namespace graft::models
