// libcudnn: convolutions of pictures with channels first or last.
#include <cstdio>
#include <cstring>

#include "half.h"
#include "operation.h"

namespace {

struct Tensor {
    bool channels_are_last, is_half;
    int count, channels, height, width;

    size_t at(int entry, int channel, int row, int column) const {
        return channels_are_last ? (((size_t)entry * height + row) * width + column) * channels + channel
                                 : (((size_t)entry * channels + channel) * height + row) * width + column;
    }
    float get(const void *numbers, size_t at) const {
        return is_half ? widened(((const unsigned short *)numbers)[at]) : ((const float *)numbers)[at];
    }
    void put(void *numbers, size_t at, float value) const {
        if (is_half)
            ((unsigned short *)numbers)[at] = halved(value);
        else
            ((float *)numbers)[at] = value;
    }
};

struct Steps {
    int padding, stride;
};

constexpr int CHANNELS_LAST = 1, HALF = 9;

// One number of the output, without a bias.
float convolved(const Tensor &input, const void *inputs, const Tensor &weight, const void *weights, const Steps &steps, int entry,
                int output, int row, int column) {
    float sum = 0;
    for (int y = 0; y < weight.height; y++)
        for (int x = 0; x < weight.width; x++) {
            const int from_row = row * steps.stride + y - steps.padding, from_column = column * steps.stride + x - steps.padding;
            if (from_row < 0 || from_row >= input.height || from_column < 0 || from_column >= input.width) continue;
            for (int channel = 0; channel < input.channels; channel++)
                sum += input.get(inputs, input.at(entry, channel, from_row, from_column)) *
                       weight.get(weights, weight.at(output, channel, y, x));
        }
    return sum;
}

template <class Number> void for_every_number(const Tensor &tensor, Number number) {
    for (int entry = 0; entry < tensor.count; entry++)
        for (int channel = 0; channel < tensor.channels; channel++)
            for (int row = 0; row < tensor.height; row++)
                for (int column = 0; column < tensor.width; column++) number(entry, channel, row, column);
}

int convolve(const Tensor &input, const void *inputs, const Tensor &weight, const void *weights, const Steps &steps,
             const Tensor &output, void *outputs, const Tensor *bias, const void *biases) {
    for_every_number(output, [&](int entry, int channel, int row, int column) {
        const float sum = convolved(input, inputs, weight, weights, steps, entry, channel, row, column);
        const float added = bias ? bias->get(biases, channel) : 0;
        output.put(outputs, output.at(entry, channel, row, column), sum + added);
    });
    return 0;
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return 91000; }
int cudnnCreate(void **handle) { return *handle = new char, 0; }
int cudnnSetStream(void *, void *) { return 0; }
int cudnnCreateTensorDescriptor(Tensor **tensor) { return *tensor = new Tensor{}, 0; }
int cudnnCreateFilterDescriptor(Tensor **filter) { return *filter = new Tensor{}, 0; }
int cudnnCreateConvolutionDescriptor(Steps **steps) { return *steps = new Steps{}, 0; }
int cudnnCreateActivationDescriptor(void **activation) { return *activation = new char, 0; }
int cudnnSetActivationDescriptor(void *, int, int, double) { return 0; }
int cudnnSetTensor4dDescriptor(Tensor *tensor, int format, int type, int count, int channels, int height, int width) {
    return *tensor = {format == CHANNELS_LAST, type == HALF, count, channels, height, width}, 0;
}
int cudnnSetFilter4dDescriptor(Tensor *filter, int type, int format, int outputs, int inputs, int height, int width) {
    return *filter = {format == CHANNELS_LAST, type == HALF, outputs, inputs, height, width}, 0;
}
int cudnnSetConvolution2dDescriptor(Steps *steps, int padding, int, int stride, int, int, int, int, int) {
    return *steps = {padding, stride}, 0;
}
int cudnnSetConvolutionMathType(Steps *, int) { return 0; }

struct Found {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};
int cudnnGetConvolutionForwardAlgorithm_v7(void *, void *, void *, void *, void *, int, int *count, Found *found) {
    *found = {};
    // Implicit and precomputed, which adds a bias at once.
    return found->algorithm = 1, *count = 1, 0;
}

// A graph keeps what describes the operation as it is now; with nothing under way it is done at once.
static int told(const std::function<int()> &operation) {
    return card_is_idle() || card_keeps(operation) ? 0 : operation();
}

int cudnnConvolutionForward(void *, const void *, Tensor *input, const void *inputs, Tensor *weight, const void *weights,
                            Steps *steps, int, void *, size_t, const void *, Tensor *output, void *outputs) {
    return told([=, of_input = *input, of_weight = *weight, of_steps = *steps, of_output = *output] {
        return convolve(of_input, inputs, of_weight, weights, of_steps, of_output, outputs, nullptr, nullptr);
    });
}

int cudnnConvolutionBiasActivationForward(void *, const void *, Tensor *input, const void *inputs, Tensor *weight,
                                          const void *weights, Steps *steps, int, void *, size_t, const void *, Tensor *,
                                          const void *, Tensor *bias, const void *biases, void *, Tensor *output, void *outputs) {
    return told([=, of_input = *input, of_weight = *weight, of_steps = *steps, of_output = *output, of_bias = *bias] {
        return convolve(of_input, inputs, of_weight, weights, of_steps, of_output, outputs, &of_bias, biases);
    });
}

int cudnnAddTensor(void *, const void *, Tensor *bias, const void *biases, const void *, Tensor *output, void *outputs) {
    return told([=, of_bias = *bias, of_output = *output] {
        for_every_number(of_output, [&](int entry, int channel, int row, int column) {
            const size_t at = of_output.at(entry, channel, row, column);
            of_output.put(outputs, at, of_output.get(outputs, at) + of_bias.get(biases, channel));
        });
        return 0;
    });
}
}
