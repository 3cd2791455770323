// libcublasLt: products of matrices whose columns lie together, as its documentation has them, and what it refuses.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "half.h"
#include "operation.h"

namespace {

constexpr int HALF = 14, EIGHT_BITS = 28, WITH_BIAS = 4, ONE_A_ROW = 3, REFUSED = 7, NOT_SUPPORTED = 15;

struct Description {
    int left_is_transposed = 0, right_is_transposed = 0, epilogue = 1;
    const void *bias = nullptr;
    // Factors of the left side's rows and of the right side's columns, and how many there are.
    const float *factors[2] = {nullptr, nullptr};
    int modes[2] = {0, 0};
};

struct Layout {
    int type;
    size_t rows, columns;
    int64_t distance;
    int count = 1;
    int64_t between = 0;

    size_t at(int matrix, size_t row, size_t column) const { return matrix * between + column * distance + row; }
};

// A sign, four bits of exponent and three of mantissa.
float of_eight_bits(unsigned char number) {
    const int exponent = number >> 3 & 15, mantissa = number & 7;
    if (exponent == 15 && mantissa == 7) return NAN;
    const float size = exponent == 0 ? ldexpf(mantissa, -9) : ldexpf(8 + mantissa, exponent - 10);
    return number & 0x80 ? -size : size;
}

float get(int type, const void *numbers, size_t at) {
    if (type == EIGHT_BITS) return of_eight_bits(((const unsigned char *)numbers)[at]);
    return type == HALF ? widened(((const unsigned short *)numbers)[at]) : ((const float *)numbers)[at];
}

void put(int type, void *numbers, size_t at, float value) {
    if (type == HALF)
        ((unsigned short *)numbers)[at] = halved(value);
    else
        ((float *)numbers)[at] = value;
}

int refuse(const char *why) { return fprintf(stderr, "emulated card: a product is refused: %s\n", why), REFUSED; }

// Every row of the left side, and every column of the right one, in one piece.
std::vector<float> by_sums(const Layout &layout, const void *numbers, int matrix, bool are_rows, size_t count, size_t sums) {
    std::vector<float> all(count * sums);
    for (size_t one = 0; one < count; one++)
        for (size_t k = 0; k < sums; k++) {
            const size_t at = are_rows ? layout.at(matrix, one, k) : layout.at(matrix, k, one);
            all[one * sums + k] = get(layout.type, numbers, at);
        }
    return all;
}

}  // namespace

extern "C" {

int cublasLtCreate(void **handle) { return *handle = malloc(1), 0; }

int cublasLtMatmulDescCreate(Description **description, int, int) { return *description = new Description, 0; }
int cublasLtMatmulDescDestroy(Description *description) { return delete description, 0; }
int cublasLtMatmulDescSetAttribute(Description *description, int attribute, const void *value, size_t) {
    switch (attribute) {
        case 3: return description->left_is_transposed = *(const int *)value, 0;
        case 4: return description->right_is_transposed = *(const int *)value, 0;
        case 7: return description->epilogue = *(const int *)value, 0;
        case 8: return description->bias = *(void *const *)value, 0;
        case 17: return description->factors[0] = *(const float *const *)value, 0;
        case 18: return description->factors[1] = *(const float *const *)value, 0;
        case 25: return 0;
        case 31: return description->modes[0] = *(const int *)value, 0;
        case 32: return description->modes[1] = *(const int *)value, 0;
        default: return refuse("an attribute that is not emulated");
    }
}

int cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows, uint64_t columns, int64_t distance) {
    return *layout = new Layout{type, rows, columns, distance}, 0;
}
int cublasLtMatrixLayoutDestroy(Layout *layout) { return delete layout, 0; }
int cublasLtMatrixLayoutSetAttribute(Layout *layout, int attribute, const void *value, size_t) {
    switch (attribute) {
        case 5: return layout->count = *(const int *)value, 0;
        case 6: return layout->between = *(const int64_t *)value, 0;
        default: return refuse("an attribute of a layout that is not emulated");
    }
}

int cublasLtMatmulPreferenceCreate(void **preference) { return *preference = malloc(1), 0; }
int cublasLtMatmulPreferenceDestroy(void *preference) { return free(preference), 0; }
int cublasLtMatmulPreferenceSetAttribute(void *, int, const void *, size_t) { return 0; }

struct Found {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};
int cublasLtMatmulAlgoGetHeuristic(void *, const Description *description, const Layout *left, const Layout *right, const Layout *,
                                   const Layout *to, void *, int, Found *found, int *count) {
    *found = {}, *count = 1;
    if (left->type != EIGHT_BITS && right->type != EIGHT_BITS) return 0;
    // Documented: both sides, which lie along their sums, with sixteen numbers or a multiple of them along every axis.
    const bool is_known = left->type == right->type && description->left_is_transposed && !description->right_is_transposed &&
                          description->modes[0] == ONE_A_ROW && description->modes[1] == ONE_A_ROW && to->type == HALF &&
                          left->rows % 16 == 0 && left->columns % 16 == 0 && left->distance % 16 == 0 && right->distance % 16 == 0;
    return is_known ? 0 : (*count = 0, NOT_SUPPORTED);
}

static int multiply(const Description *description, float alpha, const void *left, const Layout *left_layout, const void *right,
                    const Layout *right_layout, float beta, const void *onto, const Layout *onto_layout, void *to,
                    const Layout *layout) {
    const size_t rows = layout->rows, columns = layout->columns;
    const bool left_turned = description->left_is_transposed, right_turned = description->right_is_transposed;
    const size_t sums = left_turned ? left_layout->rows : left_layout->columns;
    const bool fit = (left_turned ? left_layout->columns : left_layout->rows) == rows &&
                     (right_turned ? right_layout->columns : right_layout->rows) == sums &&
                     (right_turned ? right_layout->rows : right_layout->columns) == columns && onto_layout->rows == rows &&
                     onto_layout->columns == columns;
    if (!fit) return refuse("its sizes do not fit each other");
    if (onto == to && onto_layout->distance != layout->distance) return refuse("it is added in place to rows elsewhere");
    const bool has_bias = description->epilogue == WITH_BIAS;
    if (((size_t)left | (size_t)right | (size_t)onto | (size_t)to | (has_bias ? (size_t)description->bias : 0)) % 16)
        return refuse("an address is no multiple of 16 bytes");
    for (int matrix = 0; matrix < layout->count; matrix++) {
        const auto of_left = by_sums(*left_layout, left, matrix, !left_turned, rows, sums);
        const auto of_right = by_sums(*right_layout, right, matrix, right_turned, columns, sums);
        for (size_t column = 0; column < columns; column++)
            for (size_t row = 0; row < rows; row++) {
                const float *one = &of_left[row * sums], *other = &of_right[column * sums];
                float sum = 0;
                for (size_t k = 0; k < sums; k++) sum += one[k] * other[k];
                if (left_layout->type == EIGHT_BITS) sum *= description->factors[0][row] * description->factors[1][column];
                sum *= alpha;
                if (beta != 0) sum += beta * get(onto_layout->type, onto, onto_layout->at(matrix, row, column));
                if (has_bias) sum += get(layout->type, description->bias, row);
                put(layout->type, to, layout->at(matrix, row, column), sum);
            }
    }
    return 0;
}

int cublasLtMatmul(void *, const Description *description, const float *alpha, const void *left, const Layout *left_layout,
                   const void *right, const Layout *right_layout, const float *beta, const void *onto, const Layout *onto_layout,
                   void *to, const Layout *layout, const void *, void *, size_t, void *) {
    if (card_is_idle()) return 0;
    // A graph keeps what describes the product as it is now.
    auto operation = [=, description = *description, alpha = *alpha, beta = *beta, of_left = *left_layout, of_right = *right_layout,
                      of_onto = *onto_layout, of_to = *layout] {
        return multiply(&description, alpha, left, &of_left, right, &of_right, beta, onto, &of_onto, to, &of_to);
    };
    return card_keeps(operation) ? 0 : operation();
}
}
