// Numbers of 16 bits with the exponent of 32.
#pragma once
#include <cstring>

inline float widened(unsigned short half) {
    unsigned bits = (unsigned)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

// To the nearest, of two as near to the even one.
inline unsigned short halved(float value) {
    unsigned bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
