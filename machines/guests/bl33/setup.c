#include "client.h"

void setup_tests(void)
{
}
