"""What the product costs against plain sqlite3 doing the same durable work.

python -m benchmarks [NAME…] [--rounds N] [--scale small|full] [--json FILE] [--charts DIR]
"""
