// Gradients of normalisations and gates of bf16 numbers: each reads its numbers from memory once and writes them once. What is divided
// by on the way forward is computed once more.

// The gradient of a layer normalisation's input. Grid: tokens, entries of the batch. `of_scales` takes the gradient times the
// normalised numbers, whose sums over tokens are the gradient of the scale; it may be null.
extern "C" __global__ void layer_norm_gradient(const bf16 *input, i64 batch, i64 row, const bf16 *scales, i64 scale_batch,
                                               const bf16 *gradients, i64 gradient_batch, i64 gradient_row, bf16 *of_input, bf16 *of_scales,
                                               int width, float epsilon) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    const bf16 *gradient_of = row_of({gradients, gradient_batch, gradient_row}, blockIdx.y, blockIdx.x);
    const float2 statistics = mean_and_squares(from, width);
    const float mean = statistics.x, factor = rsqrtf(statistics.y / width + epsilon);
    float sum = 0, product = 0;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(from + at), gradient = load(gradient_of + at), scale = load(scales + blockIdx.y * scale_batch + at);
#pragma unroll
        for (int index = 0; index < 8; index++) {
            const float scaled = gradient.of[index] * scale.of[index];
            sum += scaled;
            product += scaled * (numbers.of[index] - mean) * factor;
        }
    }
    sum = sum_of_block(sum) / width;
    product = sum_of_block(product) / width;
    const i64 to = ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(from + at), gradient = load(gradient_of + at), scale = load(scales + blockIdx.y * scale_batch + at);
        Eight of_scale;
#pragma unroll
        for (int index = 0; index < 8; index++) {
            const float normed = (numbers.of[index] - mean) * factor;
            of_scale.of[index] = gradient.of[index] * normed;
            numbers.of[index] = factor * (gradient.of[index] * scale.of[index] - sum - normed * product);
        }
        store(of_input + to + at, numbers);
        if (of_scales) store(of_scales + to + at, of_scale);
    }
}

// The gradient of a root-mean-square normalisation's input, a warp a row. `of_weights` takes the gradient times the normalised numbers;
// it may be null.
extern "C" __global__ void rms_norm_gradient(const bf16 *input, i64 distance, const bf16 *weights, const bf16 *gradients,
                                             i64 gradient_distance, bf16 *of_input, bf16 *of_weights, int rows, int width, float epsilon) {
    const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const bf16 *from = input + row * distance, *gradient_of = gradients + row * gradient_distance;
    float squares = 0, product = 0;
    for (int at = lane * 8; at < width; at += 256) {
        Eight numbers = load(from + at), gradient = load(gradient_of + at), weight = load(weights + at);
#pragma unroll
        for (int index = 0; index < 8; index++) {
            squares += numbers.of[index] * numbers.of[index];
            product += numbers.of[index] * gradient.of[index] * weight.of[index];
        }
    }
    const float factor = rsqrtf(sum_of_warp(squares) / width + epsilon);
    product = sum_of_warp(product) / width * factor * factor;
    for (int at = lane * 8; at < width; at += 256) {
        Eight numbers = load(from + at), gradient = load(gradient_of + at), weight = load(weights + at);
        Eight of_weight;
#pragma unroll
        for (int index = 0; index < 8; index++) {
            of_weight.of[index] = gradient.of[index] * numbers.of[index] * factor;
            numbers.of[index] = factor * (gradient.of[index] * weight.of[index] - numbers.of[index] * product);
        }
        store(of_input + (i64)row * width + at, numbers);
        if (of_weights) store(of_weights + (i64)row * width + at, of_weight);
    }
}

// The gradients of gate and value of `silu(gate) · value` or `gelu(gate) · value`. Grid: tokens, entries of the batch.
extern "C" __global__ void gated_gradient(const bf16 *gates, i64 gate_batch, i64 gate_row, const bf16 *values, i64 value_batch,
                                          i64 value_row, const bf16 *gradients, i64 gradient_batch, i64 gradient_row, bf16 *of_gates,
                                          bf16 *of_values, int width, int is_gelu) {
    const bf16 *gate_row_of = row_of({gates, gate_batch, gate_row}, blockIdx.y, blockIdx.x);
    const bf16 *value_row_of = row_of({values, value_batch, value_row}, blockIdx.y, blockIdx.x);
    const bf16 *gradient_row_of = row_of({gradients, gradient_batch, gradient_row}, blockIdx.y, blockIdx.x);
    const i64 to = ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight gate = load(gate_row_of + at), value = load(value_row_of + at), gradient = load(gradient_row_of + at);
#pragma unroll
        for (int index = 0; index < 8; index++) {
            const float x = gate.of[index];
            float activated, slope;
            if (is_gelu) {
                const float below = 0.5f * (1.0f + erff(x * 0.70710678f));
                activated = x * below;
                slope = below + x * 0.39894228f * __expf(-0.5f * x * x);
            } else {
                const float share = 1.0f / (1.0f + __expf(-x));
                activated = x * share;
                slope = share * (1.0f + x * (1.0f - share));
            }
            gate.of[index] = gradient.of[index] * value.of[index] * slope;
            value.of[index] = gradient.of[index] * activated;
        }
        store(of_gates + to + at, gate);
        store(of_values + to + at, value);
    }
}

// Every row times a row of its entry, or one for all (a distance of 0). Grid: tokens, entries of the batch.
extern "C" __global__ void scaled(const bf16 *input, i64 batch, i64 row, const bf16 *factors, i64 factor_batch, bf16 *output, int width) {
    const bf16 *from = row_of({input, batch, row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(from + at), factor = load(factors + blockIdx.y * factor_batch + at);
#pragma unroll
        for (int index = 0; index < 8; index++) numbers.of[index] *= factor.of[index];
        store(to + at, numbers);
    }
}

// Number times number. Grid: tokens, entries of the batch.
extern "C" __global__ void product(const bf16 *left, i64 left_batch, i64 left_row, const bf16 *right, i64 right_batch, i64 right_row,
                                   bf16 *output, int width) {
    const bf16 *left_of = row_of({left, left_batch, left_row}, blockIdx.y, blockIdx.x);
    const bf16 *right_of = row_of({right, right_batch, right_row}, blockIdx.y, blockIdx.x);
    bf16 *to = output + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * width;
    for (int at = threadIdx.x * 8; at < width; at += blockDim.x * 8) {
        Eight numbers = load(left_of + at), others = load(right_of + at);
#pragma unroll
        for (int index = 0; index < 8; index++) numbers.of[index] *= others.of[index];
        store(to + at, numbers);
    }
}
