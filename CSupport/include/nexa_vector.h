/* Vector kernels over float32, and the way from MessagePack numbers to float32. */
#ifndef NEXA_VECTOR_H
#define NEXA_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#endif
