// Pictures of bf16 numbers whose channels lie last, `[batch, pixels, channels]`, where channels are a multiple of eight.

// `[count, channels, pixels]` → `[count, pixels, wide]`, by tiles of 32 by 32; channels that are not there become zeros. A block has 32
// by 8 threads. Grid: tiles of pixels, tiles of channels, count.
extern "C" __global__ void channels_last(const bf16 *input, bf16 *output, int channels, int pixels, int wide) {
    __shared__ bf16 tile[32][33];
    const int column = threadIdx.x % 32, row = threadIdx.x / 32;
    const int first_pixel = blockIdx.x * 32, first_channel = blockIdx.y * 32;
    const bf16 *from = input + (i64)blockIdx.z * channels * pixels;
    bf16 *to = output + (i64)blockIdx.z * wide * pixels;
    for (int at = row; at < 32; at += 8) {
        const int channel = first_channel + at, pixel = first_pixel + column;
        tile[at][column] = channel < channels && pixel < pixels ? from[(i64)channel * pixels + pixel] : (bf16)0;
    }
    __syncthreads();
    for (int at = row; at < 32; at += 8) {
        const int pixel = first_pixel + at, channel = first_channel + column;
        if (pixel < pixels && channel < wide) to[(i64)pixel * wide + channel] = tile[column][at];
    }
}

// Sums, and sums of squares, of a piece of the pixels of every group. A thread has eight channels and every so many pixels; their sums are
// added up in an order that does not change. Grid: pieces, entries of the batch. `sums` `[batch, groups, pieces]`.
extern "C" __global__ void __launch_bounds__(512)
group_sums(const bf16 *input, float2 *sums, int pixels, int channels, int groups, int piece) {
    extern __shared__ float2 of_threads[];
    const int vectors = channels / 8, lanes = blockDim.x / vectors;
    const int vector = threadIdx.x % vectors, lane = threadIdx.x / vectors;
    const bf16 *from = input + (i64)blockIdx.y * pixels * channels + vector * 8;
    const int last = min(pixels, (int)(blockIdx.x + 1) * piece);
    float2 mine[8] = {};
    if (lane < lanes) {
        for (int pixel = blockIdx.x * piece + lane; pixel < last; pixel += lanes) {
            Eight numbers = load(from + (i64)pixel * channels);
#pragma unroll
            for (int index = 0; index < 8; index++) {
                mine[index].x += numbers.of[index];
                mine[index].y += numbers.of[index] * numbers.of[index];
            }
        }
#pragma unroll
        for (int index = 0; index < 8; index++) of_threads[lane * channels + vector * 8 + index] = mine[index];
    }
    __syncthreads();
    const int width = channels / groups;
    for (int group = threadIdx.x; group < groups; group += blockDim.x) {
        float2 sum = {0, 0};
        for (int other = 0; other < lanes; other++)
            for (int channel = 0; channel < width; channel++) {
                const float2 one = of_threads[other * channels + group * width + channel];
                sum.x += one.x;
                sum.y += one.y;
            }
        sums[((i64)blockIdx.y * groups + group) * gridDim.x + blockIdx.x] = sum;
    }
}

// Mean of a group, and what its numbers are multiplied by, from the sums of its pieces. A warp a group. Grid: groups of all entries.
extern "C" __global__ void group_statistics_of_sums(const float2 *sums, float2 *statistics, int pieces, float count, float epsilon) {
    float sum = 0, squares = 0;
    for (int piece = threadIdx.x; piece < pieces; piece += 32) {
        sum += sums[(i64)blockIdx.x * pieces + piece].x;
        squares += sums[(i64)blockIdx.x * pieces + piece].y;
    }
    const float mean = sum_of_warp(sum) / count;
    const float variance = fmaxf(sum_of_warp(squares) / count - mean * mean, 0.0f);
    if (threadIdx.x == 0) statistics[blockIdx.x] = make_float2(mean, rsqrtf(variance + epsilon));
}

// Normalises a piece of the pixels. Grid: pieces, entries of the batch.
extern "C" __global__ void __launch_bounds__(512)
group_norm_of_pixels(const bf16 *input, const float2 *statistics, const bf16 *weights, const bf16 *biases, bf16 *output, int pixels,
                     int channels, int groups, int piece, int is_activated) {
    const int vectors = channels / 8, lanes = blockDim.x / vectors;
    const int vector = threadIdx.x % vectors, lane = threadIdx.x / vectors;
    if (lane >= lanes) return;
    Eight factor = load(weights + vector * 8), shift = load(biases + vector * 8);
#pragma unroll
    for (int index = 0; index < 8; index++) {
        const float2 of_group = statistics[blockIdx.y * groups + (vector * 8 + index) / (channels / groups)];
        factor.of[index] *= of_group.y;
        shift.of[index] -= of_group.x * factor.of[index];
    }
    const i64 first = (i64)blockIdx.y * pixels * channels + vector * 8;
    const int last = min(pixels, (int)(blockIdx.x + 1) * piece);
    for (int pixel = blockIdx.x * piece + lane; pixel < last; pixel += lanes) {
        Eight numbers = load(input + first + (i64)pixel * channels);
#pragma unroll
        for (int index = 0; index < 8; index++) {
            const float normed = numbers.of[index] * factor.of[index] + shift.of[index];
            numbers.of[index] = is_activated ? silu(normed) : normed;
        }
        store(output + first + (i64)pixel * channels, numbers);
    }
}

// Number plus number, `count` of eight each. Grid: blocks of threads.
extern "C" __global__ void sum(const bf16 *left, const bf16 *right, bf16 *output, i64 count) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    Eight numbers = load(left + at * 8), others = load(right + at * 8);
#pragma unroll
    for (int index = 0; index < 8; index++) numbers.of[index] += others.of[index];
    store(output + at * 8, numbers);
}

// Every pixel plus the row of its entry. Grid: blocks of threads, entries of the batch; `count` of eight an entry.
extern "C" __global__ void shifted(const bf16 *input, const bf16 *rows, i64 row, bf16 *output, i64 count, int channels) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const i64 place = (blockIdx.y * count + at) * 8;
    Eight numbers = load(input + place), others = load(rows + blockIdx.y * row + at * 8 % channels);
#pragma unroll
    for (int index = 0; index < 8; index++) numbers.of[index] += others.of[index];
    store(output + place, numbers);
}

// The channels of two pictures beside each other. Grid: blocks of threads; `count` of eight of the output.
extern "C" __global__ void beside(const bf16 *left, const bf16 *right, bf16 *output, i64 count, int left_channels, int right_channels) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const int channels = left_channels + right_channels;
    const i64 pixel = at * 8 / channels;
    const int channel = (int)(at * 8 % channels);
    const bf16 *from = channel < left_channels ? left + pixel * left_channels + channel
                                               : right + pixel * right_channels + channel - left_channels;
    *(Packed *)(output + at * 8) = *(const Packed *)from;
}

// Every pixel is the nearest one of a picture of another size. Grid: eights of the output.
extern "C" __global__ void resized(const bf16 *input, bf16 *output, i64 eights, int channels, int height, int width, int from_height,
                                   int from_width) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= eights) return;
    const i64 pixel = at * 8 / channels;
    const int channel = at * 8 % channels, column = pixel % width, row = pixel / width % height;
    const i64 entry = pixel / width / height;
    // As PyTorch rounds.
    const int from_row = min((int)(row * ((float)from_height / height)), from_height - 1);
    const int from_column = min((int)(column * ((float)from_width / width)), from_width - 1);
    const bf16 *from = input + ((entry * from_height + from_row) * from_width + from_column) * channels + channel;
    *(Packed *)(output + at * 8) = *(const Packed *)from;
}
