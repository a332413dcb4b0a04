"""The first tables of the app."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('slug', models.SlugField(blank=True, help_text='Left empty, it is made of the name.', max_length=70, unique=True)),
            ],
            options={
                'ordering': (django.db.models.functions.text.Lower('name'),),
            },
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file', models.FileField(help_text='One of: avif, gif, jpeg, jpg, pdf, png, svg, txt, webp, zip.', max_length=200, upload_to='uploads/%Y/%m/', validators=[django.core.validators.FileExtensionValidator(['avif', 'gif', 'jpeg', 'jpg', 'pdf', 'png', 'svg', 'txt', 'webp', 'zip'])])),
                ('description', models.CharField(blank=True, help_text='What is in it, for authors and as the text in place of an image.', max_length=300)),
                ('uploaded_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('uploaded_by', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='attachments', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-uploaded_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='Post',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=200)),
                ('slug', models.SlugField(blank=True, help_text="The last part of the post's address. Left empty, it is made of the title.", max_length=200, unique=True)),
                ('format', models.CharField(choices=[('markdown', 'Markdown'), ('restructuredtext', 'reStructuredText'), ('plain', 'Plain text'), ('html', 'HTML')], max_length=20)),
                ('source', models.TextField()),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('published', 'Published')], default='draft', max_length=10)),
                ('published_at', models.DateTimeField(blank=True, help_text='A time in the future schedules the post. Left empty, a published post appears at once.', null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('html', models.TextField(editable=False)),
                ('text', models.TextField(editable=False)),
                ('excerpt', models.CharField(editable=False, max_length=300)),
                ('words', models.PositiveIntegerField(editable=False)),
                ('content_hash', models.CharField(editable=False, max_length=64)),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='posts', to=settings.AUTH_USER_MODEL)),
                ('tags', models.ManyToManyField(blank=True, related_name='posts', to='posts.tag')),
            ],
            options={
                'ordering': ('-published_at', '-pk'),
                'indexes': [models.Index(fields=['status', '-published_at', '-id'], name='post_by_time')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('status', 'published'), _negated=True), ('published_at__isnull', False), _connector='OR'), name='published_post_has_time')],
            },
        ),
    ]
