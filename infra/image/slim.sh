#!/bin/sh
# Takes out of an environment what a server of ragwb never opens: sh slim.sh /opt/ragwb/lib/python3.11/site-packages
# infra/image/README.md has what it saves. tests/test_cloud_local.py sees that each line still finds something.
set -eu
cd "$1"

find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.map' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.pyi' \) -delete  # for debuggers and compilers
rm -rf pyarrow/include pyarrow/*flight*  # Arrow over a network
rm -rf zstandard/_cffi*  # for PyPy
rm -rf phonenumbers/geodata phonenumbers/carrierdata phonenumbers/tzdata  # where a number is; numbers are found without
rm -rf panel/dist/bundled/deckglplot panel/dist/bundled/abstractvtkplot panel/dist/bundled/aceplot panel/dist/bundled/perspective \
    panel/dist/bundled/plotlyplot panel/dist/bundled/echarts panel/dist/bundled/vegaplot panel/dist/bundled/reveal.js*  # plots and editors that the app does not show
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name 'bedrock*' ! -name sts ! -name 'sso*' ! -name signin -exec rm -rf {} +  # other services
