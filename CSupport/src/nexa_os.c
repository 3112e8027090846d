#include <pthread.h>

#include "nexa_os.h"

void nexa_os_name_thread(const char *name) { (void)pthread_setname_np(pthread_self(), name); }
