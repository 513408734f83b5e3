"""Run the migrations on the connection that `amqtt.contrib.persistence` hands over."""

from alembic import context

from amqtt.contrib.persistence.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
