#include "graft/tests/support/dtype_cases.h"

namespace graft::test {
namespace {

bool are_same(DType a, DType b) { return a == b; }
bool go_together(DType a, DType b) {
  return a == b || (b == DType::f32 && (a == DType::bf16 || a == DType::f16));
}
bool is_label(DType a, DType b) { return b == DType::i64 || a == b; }
bool is_any_floating(DType, DType b) { return is_floating(b); }
bool is_place(DType, DType b) { return b == DType::i32 || b == DType::i64; }
bool is_condition(DType a, DType) { return a == DType::boolean; }
bool is_i64(DType, DType b) { return b == DType::i64; }
bool is_i32(DType, DType b) { return b == DType::i32; }

ExecContext& context() { return current_context(); }

// Images of one pixel and one channel; vectors of one value.
Tensor pixel(double value, DType dtype) {
  return Tensor::full({1, 1, 1, 1}, value, {.dtype = dtype, .format = MemoryFormat::channels_last});
}
Tensor one(double value, DType dtype) { return Tensor::full({1}, value, {.dtype = dtype}); }
Tensor square(double value, DType dtype) { return Tensor::full({1, 1}, value, {.dtype = dtype}); }
Tensor stack(double value, DType dtype) { return Tensor::full({1, 1, 1}, value, {.dtype = dtype}); }

ops::ConvAttributes one_by_one() { return {.window = ops::square_window(1)}; }

void add_products(std::vector<DTypeCase>& cases) {
  cases.push_back({"conv forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(2, a), weight = pixel(3, b);
                     Tensor y = pixel(0, a);
                     set.conv.forward(context(), {x, weight, nullptr, one_by_one(), y});
                     return y;
                   },
                   go_together, 6});
  cases.push_back({"conv forward, bias",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(2, a), weight = pixel(3, a), bias = one(1, b);
                     Tensor y = pixel(0, a);
                     set.conv.forward(context(), {x, weight, &bias, one_by_one(), y});
                     return y;
                   },
                   go_together, 7});
  cases.push_back({"conv backward-data",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor dy = pixel(2, a), weight = pixel(3, b);
                     Tensor dx = pixel(0, a);
                     set.conv.backward_data(context(), {dy, weight, one_by_one(), dx});
                     return dx;
                   },
                   go_together, 6});
  cases.push_back({"conv backward-weight",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(2, a), dy = pixel(3, a);
                     Tensor dweight = pixel(0, b);
                     set.conv.backward_weight(context(), {x, dy, one_by_one(), &dweight, nullptr});
                     return dweight;
                   },
                   go_together, 6});
  cases.push_back({"conv backward-weight, x",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(2, b), dy = pixel(3, a);
                     Tensor dweight = pixel(0, a);
                     set.conv.backward_weight(context(), {x, dy, one_by_one(), &dweight, nullptr});
                     return dweight;
                   },
                   are_same, 6});
  cases.push_back(
      {"fused_conv forward",
       [](const KernelSet& set, DType a, DType b) {
         const Tensor x = pixel(2, a), weight = pixel(3, b);
         Tensor y = pixel(0, a);
         const ops::FusedConvAttributes attributes{one_by_one()};
         set.fused_conv.forward(context(), {x, weight, nullptr, nullptr, nullptr, attributes, y});
         return y;
       },
       go_together, 6});
  cases.push_back(
      {"fused_conv forward, residual",
       [](const KernelSet& set, DType a, DType b) {
         const Tensor x = pixel(2, a), weight = pixel(3, a), residual = pixel(1, b);
         Tensor y = pixel(0, a);
         const ops::FusedConvAttributes attributes{one_by_one()};
         set.fused_conv.forward(context(), {x, weight, nullptr, nullptr, &residual, attributes, y});
         return y;
       },
       are_same, 7});
  cases.push_back({"linear forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = square(2, a), weight = square(3, b);
                     Tensor y = square(0, a);
                     set.linear.forward(context(), {x, weight, nullptr, y});
                     return y;
                   },
                   are_same, 6});
  cases.push_back({"linear backward-data",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor dy = square(2, a), weight = square(3, b);
                     Tensor dx = square(0, a);
                     set.linear.backward_data(context(), {dy, weight, dx});
                     return dx;
                   },
                   are_same, 6});
  cases.push_back({"linear backward-weight",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = square(2, b), dy = square(3, a);
                     Tensor dweight = square(0, a);
                     set.linear.backward_weight(context(), {x, dy, &dweight, nullptr});
                     return dweight;
                   },
                   are_same, 6});
  cases.push_back({"matmul",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor left = stack(2, a), right = stack(3, b);
                     Tensor y = stack(0, a);
                     const ops::MatrixProduct product{0, 0, 0};
                     set.matmul.run(context(), {left, right, false, false, {&product, 1}, y});
                     return y;
                   },
                   are_same, 6});
}

void add_elementwise(std::vector<DTypeCase>& cases) {
  cases.push_back({"binary forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor left = one(1, a), right = one(0, b);
                     Tensor y = one(0, a);
                     set.binary.forward(context(), {left, right, {ops::Binary::max}, y});
                     return y;
                   },
                   are_same, 1});
  cases.push_back(
      {"binary backward",
       [](const KernelSet& set, DType a, DType b) {
         const Tensor left = one(2, a), right = one(3, a), dy = one(4, b);
         Tensor da = one(0, a);
         set.binary.backward(context(), {left, right, dy, {ops::Binary::add}, &da, nullptr});
         return da;
       },
       are_same, 4});
  cases.push_back({"unary forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(2, a);
                     Tensor y = one(0, b);
                     set.unary.forward(context(), {x, {ops::Unary::relu}, y});
                     return y;
                   },
                   are_same, 2});
  cases.push_back({"unary backward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(2, a), dy = one(3, b);
                     Tensor dx = one(0, a);
                     set.unary.backward(context(), {x, x, dy, {ops::Unary::relu}, dx});
                     return dx;
                   },
                   are_same, 3});
  cases.push_back({"where forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor condition = one(1, DType::boolean), yes = one(1, a),
                                  no = one(0, b);
                     Tensor y = one(0, a);
                     set.select.where_forward(context(), {condition, yes, no, y});
                     return y;
                   },
                   are_same, 1});
  cases.push_back({"where forward, condition",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor condition = one(1, a), yes = one(1, b), no = one(0, b);
                     Tensor y = one(0, b);
                     set.select.where_forward(context(), {condition, yes, no, y});
                     return y;
                   },
                   is_condition, 1});
  cases.push_back({"dropout",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(2, a);
                     Tensor y = one(0, b);
                     set.dropout.apply(context(), {x, {.probability = 0}, y});
                     return y;
                   },
                   are_same, 2});
  cases.push_back({"optimizer step",
                   [](const KernelSet& set, DType a, DType b) {
                     std::vector<ops::OptimizerParameter> list{{one(3, a), one(1, b), {}, {}, {}}};
                     const Tensor numbers =
                         Tensor::full({ops::kOptimizerNumbers}, 1, {.dtype = DType::f64});
                     set.optimizer.step(context(), {list, numbers, {.momentum = 0}});
                     return list[0].weight;
                   },
                   are_same, 2});
}

void add_norms_and_losses(std::vector<DTypeCase>& cases) {
  cases.push_back({"batch_norm apply",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(3, a), mean = one(1, b), variance = one(1, b);
                     Tensor y = pixel(0, a);
                     set.batch_norm.apply(
                         context(), {x, mean, variance, nullptr, nullptr, nullptr, {.eps = 0}, y});
                     return y;
                   },
                   go_together, 2});
  cases.push_back({"batch_norm apply, residual",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(3, a), mean = one(1, a), variance = one(1, a),
                                  residual = pixel(1, b);
                     Tensor y = pixel(0, a);
                     set.batch_norm.apply(
                         context(),
                         {x, mean, variance, nullptr, nullptr, &residual, {.eps = 0}, y});
                     return y;
                   },
                   are_same, 3});
  cases.push_back({"softmax backward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor y = square(1, a), dy = square(3, b);
                     Tensor dx = square(1, a);
                     set.softmax.backward(context(), {y, dy, {}, dx});
                     return dx;
                   },
                   are_same, 0});
  cases.push_back({"normalize backward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor y = square(2, a), dy = square(3, b), scales = one(1, DType::f64);
                     Tensor dx = square(1, a);
                     set.normalize.backward(context(), {y, scales, dy, {.center = false}, dx});
                     return dx;
                   },
                   are_same, -9});
  cases.push_back(
      {"cross_entropy",
       [](const KernelSet& set, DType a, DType b) {
         const Tensor logits = square(2, a), target = b == DType::i64 ? one(0, b) : square(1, b);
         Tensor loss = Tensor::full(Shape{}, 9, {.dtype = a});
         set.loss.cross_entropy(context(), {logits, target, nullptr, {}, loss, nullptr});
         return loss;
       },
       is_label, 0});
  cases.push_back({"pair_loss",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(2, a), target = one(0, b);
                     Tensor loss = Tensor::full(Shape{}, 9, {.dtype = a});
                     set.loss.pair(context(), {x, target, {}, loss, nullptr});
                     return loss;
                   },
                   are_same, 4});
}

void add_movement(std::vector<DTypeCase>& cases) {
  cases.push_back({"reduce backward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(2, a), y = Tensor::full(Shape{}, 2, {.dtype = a}),
                                  dy = Tensor::full(Shape{}, 3, {.dtype = b});
                     Tensor dx = one(0, a);
                     set.reduce.backward(context(), {x, y, dy, {}, dx});
                     return dx;
                   },
                   are_same, 3});
  cases.push_back({"max_pool forward, indices",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = pixel(2, a);
                     Tensor y = pixel(0, a), indices = pixel(0, b);
                     set.pool.max_forward(context(), {x, {ops::square_window(1)}, y, &indices});
                     return y;
                   },
                   is_i32, 2});
  cases.push_back({"average_pool backward",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor dy = pixel(2, a);
                     Tensor dx = pixel(0, b);
                     set.pool.average_backward(context(), {dy, {ops::square_window(1)}, dx});
                     return dx;
                   },
                   are_same, 2});
  cases.push_back({"concat forward",
                   [](const KernelSet& set, DType a, DType b) {
                     const std::vector<Tensor> inputs{one(1, a), one(1, b)};
                     Tensor y = Tensor::zeros({2}, {.dtype = a});
                     set.shape_change.concat_forward(context(), {inputs, 0, y});
                     return y;
                   },
                   are_same, 1});
  cases.push_back({"gather forward, indices",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(1, a), indices = one(0, b);
                     Tensor y = one(0, a);
                     set.indexing.gather_forward(context(), {x, indices, {}, y});
                     return y;
                   },
                   is_place, 1});
  cases.push_back({"scatter forward, updates",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(0, a), indices = one(0, DType::i64), updates = one(1, b);
                     Tensor y = one(0, a);
                     set.indexing.scatter_forward(context(), {x, indices, updates, {}, y});
                     return y;
                   },
                   are_same, 1});
  cases.push_back({"arg_extreme",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = one(1, a);
                     Tensor y = one(1, b);
                     set.ordering.arg_extreme(context(), {x, {}, y});
                     return y;
                   },
                   is_i64, 0});
  cases.push_back({"grid_sample forward, grid",
                   [](const KernelSet& set, DType a, DType b) {
                     const Tensor x = Tensor::full({1, 1, 1, 1}, 2, {.dtype = a}),
                                  grid = Tensor::zeros({1, 1, 1, 2}, {.dtype = b});
                     Tensor y = Tensor::zeros({1, 1, 1, 1}, {.dtype = a});
                     set.sample.grid_forward(context(), {x, grid, {}, y});
                     return y;
                   },
                   is_any_floating, 2});
}

}  // namespace

std::vector<DTypeCase> dtype_cases() {
  std::vector<DTypeCase> cases;
  add_products(cases);
  add_elementwise(cases);
  add_norms_and_losses(cases);
  add_movement(cases);
  return cases;
}

std::vector<std::string> accepted_against_the_contract(const KernelSet& set) {
  std::vector<std::string> faults;
  for (const DTypeCase& c : dtype_cases())
    for (const DType a : kDTypes)
      for (const DType b : kDTypes) {
        if (c.fits(a, b)) continue;
        const std::string call = str(c.pass, " of ", name_of(a), " and ", name_of(b), ": ");
        try {
          c.run(set, a, b);
          faults.push_back(call + "was computed");
        } catch (const Error& error) {
          if (std::string_view(error.what()).find("these dtypes do not go together") ==
              std::string_view::npos)
            faults.push_back(call + error.what());
        }
      }
  return faults;
}

}  // namespace graft::test
