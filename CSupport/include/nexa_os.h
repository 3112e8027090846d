/* System calls that Swift's Glibc module does not import. */
#ifndef NEXA_OS_H
#define NEXA_OS_H

/* Names the calling thread, as `top -H` and debuggers show it; at most 15 bytes are kept by the system. */
void nexa_os_name_thread(const char *name);

#endif
